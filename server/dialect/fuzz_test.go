package dialect

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// wire makes a response of text: a field a line, an empty line, the body.
func wire(status int, text string) Response {
	resp := Response{Status: status, Received: noon}
	head, body, _ := strings.Cut(text, "\n\n")
	resp.Body = []byte(body)
	for line := range strings.SplitSeq(head, "\n") {
		name, value, _ := strings.Cut(line, ":")
		resp.Headers = append(resp.Headers, Field{name, value})
	}
	return resp
}

// text is the opposite of wire.
func text(resp Response) string {
	var b strings.Builder
	for _, f := range resp.Headers {
		b.WriteString(f.Name + ":" + f.Value + "\n")
	}
	return b.String() + "\n" + string(resp.Body)
}

func fuzzRead(f *testing.F, name string) {
	for _, e := range examples(f) {
		f.Add(e.Status, text(e.response(noon)))
	}
	for _, c := range autoTable {
		f.Add(429, text(answerOf(429, c.fields...)))
	}
	for _, c := range ietfTable {
		f.Add(200, text(answerOf(200, c.fields...)))
	}
	for _, c := range waits {
		f.Add(503, "Retry-After:"+c.text)
	}
	d := mustBuiltin(f, name)
	f.Fuzz(func(t *testing.T, status int, text string) {
		resp := wire(status, text)
		reading := d.Read(resp)
		checkReading(t, name, status, reading)
		if again := d.Read(resp); !reflect.DeepEqual(reading, again) {
			t.Errorf("twice the same is not the same:\n%+v\n%+v", reading, again)
		}
	})
}

func FuzzReadAuto(f *testing.F)     { fuzzRead(f, "auto") }
func FuzzReadIETF(f *testing.F)     { fuzzRead(f, "ietf") }
func FuzzReadLinkedIn(f *testing.F) { fuzzRead(f, "linkedin") }

func FuzzReadMeta(f *testing.F) {
	for _, c := range metaUsages {
		f.Add(200, "X-App-Usage:"+c.value)
	}
	for _, c := range metaRefusals {
		f.Add(c.status, "X-App-Usage:{\"call_count\":100}\n\n"+c.body)
	}
	fuzzRead(f, "meta")
}

// checkReading holds what is true of every reading, whatever the response.
func checkReading(t *testing.T, name string, status int, reading Reading) {
	t.Helper()
	a := reading.Answer
	if len(a.Observations) > maxObservations || len(reading.Ignored) > maxIgnored || len(a.Reason) > 300 {
		t.Errorf("too much: %d observations, %d ignored, reason %q", len(a.Observations), len(reading.Ignored), a.Reason)
	}
	if a.RetryAfter < 0 || a.RetryAfter > quota.DefaultMaxReset || a.Backoff < 0 || !a.Sent.IsZero() || !a.Received.IsZero() || a.Unanswered {
		t.Errorf("%+v", a)
	}
	refuses := status == 429 || status == 503 || name == "meta" && status >= 400
	if a.Verdict == quota.Passed && (a.RetryAfter != 0 || a.Backoff != 0 || status == 429) || a.Verdict != quota.Passed && !refuses {
		t.Errorf("status %d: %+v", status, a)
	}
	for _, o := range a.Observations {
		checkObservation(t, a.Verdict, o)
	}
	for _, i := range reading.Ignored {
		if i.Reason == "" || len(i.Name) > maxName || strings.ContainsFunc(i.Name, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("ignored %+v", i)
		}
	}
}

func checkObservation(t *testing.T, v quota.Verdict, o quota.Observation) {
	t.Helper()
	switch {
	case o.Quota < 0 || o.Quota > quota.MaxQuota:
		t.Errorf("quota: %+v", o)
	case o.Remaining != quota.Unknown && (o.Remaining < 0 || o.Remaining > quota.MaxQuota):
		t.Errorf("remaining: %+v", o)
	case o.Quota > 0 && o.Remaining > o.Quota:
		t.Errorf("more left than there is: %+v", o)
	case o.Quota == 0 && o.Remaining == quota.Unknown:
		t.Errorf("says nothing: %+v", o)
	case o.Reset.After < 0 || o.Reset.After > farthest || o.Reset.Slack < 0 || !o.Reset.Known && o.Reset != (quota.Reset{}):
		t.Errorf("reset: %+v", o)
	case o.Window.Period < 0 || o.Window.Period > farthest || o.Window.Kind == quota.Fixed && o.Window.Period < time.Nanosecond:
		t.Errorf("window: %+v", o)
	case !safeName(o.Limit) || !safeName(o.Unit) || o.Unit == quota.Requests:
		t.Errorf("names: %+v", o)
	case o.Blocked && v != quota.Refused:
		t.Errorf("blocked: %+v", o)
	}
}

func FuzzNumber(f *testing.F) {
	for _, c := range counts {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, reason := parseDecimal(s)
		if reason != "" {
			return
		}
		if lo, hi := d.floor(), d.ceil(); lo < 0 || lo > hi || hi > lo+1 || hi > quota.MaxQuota || d.seconds() < 0 {
			t.Errorf("%q: %d to %d, %v", s, lo, hi, d.seconds())
		}
	})
}

func FuzzTime(f *testing.F) {
	for _, c := range waits {
		f.Add(c.text)
	}
	for _, c := range resets {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for part := range splitTimes(s) {
			when, reason := parseTime(part)
			if reason != "" {
				continue
			}
			if after, slack, _ := newClock("", noon).ahead(when); after < 0 || slack < 0 {
				t.Errorf("%q: %v, slack %v", part, after, slack)
			}
		}
	})
}

var benchmarks = map[string]Response{
	"ietf": answerOf(200, "Date", "Thu, 01 Jan 2026 12:00:00 GMT",
		"RateLimit-Policy", `"burst";q=100;w=60, "daily";q=1000;w=86400`, "RateLimit", `"burst";r=40;t=5, "daily";r=900;t=36000`),
	"auto": answerOf(200, "Date", "Thu, 01 Jan 2026 12:00:00 GMT",
		"X-RateLimit-Limit", "5000", "X-RateLimit-Remaining", "4987", "X-RateLimit-Reset", "1767268860", "X-RateLimit-Used", "13"),
	"linkedin": {Status: 429, Body: throttleBody("APPLICATION DAY "), Received: noon},
	"meta":     answerOf(200, "X-App-Usage", `{"call_count":28,"total_time":25,"total_cputime":25}`),
}

func BenchmarkRead(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			d, resp := mustBuiltin(b, name), benchmarks[name]
			if len(d.Read(resp).Answer.Observations) == 0 {
				b.Fatal("nothing to measure")
			}
			b.ReportAllocs()
			for b.Loop() {
				d.Read(resp)
			}
		})
	}
}

// BenchmarkReadWorst is as much as one response may have, all of it to be parsed.
func BenchmarkReadWorst(b *testing.B) {
	var fields []string
	for range maxFields / 2 {
		fields = append(fields, "RateLimit-Policy", strings.Repeat(`"a";q=1, `, maxValue/9), "X-RateLimit-Reset", strings.Repeat("soon,", maxValue/5))
	}
	resp := refusal(fields...)
	resp.Body = []byte(`{"type":"` + strings.Repeat("a", maxBody-20) + `"}`)
	b.ReportAllocs()
	for b.Loop() {
		auto{}.Read(resp)
	}
}
