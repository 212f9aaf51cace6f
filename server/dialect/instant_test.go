package dialect

import (
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// noon is when the responses of these tests come in: Thu, 01 Jan 2026 12:00:00.
var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// refusal is a 429 that came in at noon.
func refusal(pairs ...string) Response { return answerOf(429, pairs...) }

// answerOf is a response that came in at noon, its fields in pairs.
func answerOf(status int, pairs ...string) Response {
	resp := Response{Status: status, Received: noon}
	for i := 0; i < len(pairs); i += 2 {
		resp.Headers = append(resp.Headers, Field{pairs[i], pairs[i+1]})
	}
	return resp
}

const longest = quota.DefaultMaxReset

// waits are forms of Retry-After, and what they come to at noon; -1 is one that
// is not understood.
var waits = []struct {
	text string
	want time.Duration
}{
	{"0", 0}, {"1", time.Second}, {"30", 30 * time.Second}, {"120", 2 * time.Minute}, {"3600", time.Hour}, {"86400", 24 * time.Hour},
	{"331775", 331775 * time.Second}, {"0120", 2 * time.Minute}, {"+30", 30 * time.Second}, {" 30 ", 30 * time.Second},
	{"2.0", 2 * time.Second}, {"17.2", 17200 * time.Millisecond}, {"0.9", 900 * time.Millisecond}, {"0.001", time.Millisecond},
	{"1336.57", 1336570 * time.Millisecond}, {"64.570000", 64570 * time.Millisecond}, {"0.0", 0},
	{"-1", 0}, {"-0", 0}, {"-30.5", 0}, {"-99999999999999999999", 0},
	{"2764800", longest}, {"2764801", longest}, {"10000000", longest}, {"999999999", longest},
	// The size of an epoch.
	{"1767268805", 5 * time.Second}, {"1767268800", 0}, {"1767268799", 0}, {"1743441608", 0}, {"1000000000", 0}, {"1767268800.5", 500 * time.Millisecond},
	{"1767268805000", 5 * time.Second}, {"1767268799999", 0}, {"1000000000000", 0}, {"4102444800", longest}, {"99999999999", longest},
	{"99999999999999", longest}, {"100000000000", -1}, {"999999999999", -1}, {"100000000000000", -1}, {"9223372036854775808", -1}, {"1767268805000000", -1},
	// The three forms of an HTTP date, and what looks like one.
	{"Thu, 01 Jan 2026 12:00:05 GMT", 5 * time.Second}, {"Thursday, 01-Jan-26 12:00:05 GMT", 5 * time.Second}, {"Thu Jan  1 12:00:05 2026", 5 * time.Second},
	{"Thu, 01 Jan 2026 12:00:00 GMT", 0}, {"Fri, 31 Dec 1999 23:59:59 GMT", 0}, {"Friday, 31-Dec-99 23:59:59 GMT", 0}, {"Fri Dec 31 23:59:59 1999", 0},
	{"Mon, 01 Jan 2026 12:00:05 GMT", 5 * time.Second}, {"Thu, 01 Jan 2026 13:00:05 +0100", 5 * time.Second}, {"Thu, 01 Jan 2126 12:00:00 GMT", longest},
	{"Thu, 01 Jan 2026 12:00:05 PST", -1}, {"Thu, 01 Jan 2026 12:00:05", -1}, {"Thu, 32 Jan 2026 12:00:05 GMT", -1}, {"Thu, 01 Jan 2026", -1}, {"Thu,", -1},
	{"Sun, 06 Nov 1994 08:49:37 GMT", 0}, {"Sunday, 06-Nov-94 08:49:37 GMT", 0}, {"Sun Nov  6 08:49:37 1994", 0},
	// Instants of other kinds.
	{"2026-01-01T12:00:05Z", 5 * time.Second}, {"2026-01-01t12:00:05z", 5 * time.Second}, {"2026-01-01T13:00:05+01:00", 5 * time.Second}, {"2026-01-01T07:00:05-0500", 5 * time.Second},
	{"2026-01-01T12:00:05.250Z", 5250 * time.Millisecond}, {"2026-01-01T12:05Z", 5 * time.Minute}, {"2025-12-31T12:00:00Z", 0}, {"9999-12-31T23:59:59Z", longest}, {"0001-01-01T00:00:00Z", 0},
	{"2026-01-01", -1}, {"2026-01-01 12:00:05", -1}, {"2026-13-01T12:00:05Z", -1}, {"2026-02-29T12:00:00Z", -1}, {"12:00:05", -1},
	// Durations in words.
	{"30s", 30 * time.Second}, {"6m0s", 6 * time.Minute}, {"2m59.56s", 179560 * time.Millisecond}, {"547ms", 547 * time.Millisecond}, {"1h", time.Hour}, {"-5s", 0}, {"9999h", longest}, {"1µs", time.Microsecond},
	{"999999999999h", -1}, {"5d", -1}, {"30 s", -1}, {"30 seconds", -1}, {"PT30S", -1}, {"soon", -1}, {"later, please", -1}, {"", -1},
	{"NaN", -1}, {"Inf", -1}, {"1e3", -1}, {"0x10", -1}, {"３０", -1}, {"30;q=1", -1}, {"\"30\"", -1}, {"null", -1},
	// Lists: the longest counts.
	{"30, 30", 30 * time.Second}, {"5,10", 10 * time.Second}, {"10,5", 10 * time.Second}, {"soon, 10", 10 * time.Second}, {"0,0", 0},
	{"Thu, 01 Jan 2026 12:00:05 GMT, Thu, 01 Jan 2026 12:00:09 GMT", 9 * time.Second}, {"5, Thu, 01 Jan 2026 12:00:09 GMT", 9 * time.Second}, {"Thu, 01 Jan 2026 12:00:09 GMT, 5", 9 * time.Second},
}

// TestRetryAfter has peer-bugs 5 and 21 in its table: a date, zero, less than
// zero, far too large, decimals, and an epoch taken for seconds.
func TestRetryAfter(t *testing.T) {
	for _, name := range Names() {
		d := mustBuiltin(t, name)
		for _, c := range waits {
			for _, status := range []int{429, 503} {
				reading := d.Read(answerOf(status, "Retry-After", c.text))
				if got := reading.Answer.RetryAfter; got != max(c.want, 0) {
					t.Errorf("%s, %d: %q is %v, want %v", name, status, c.text, got, c.want)
				}
				if c.want < 0 && len(reading.Ignored) == 0 {
					t.Errorf("%s, %d: %q is ignored without a reason", name, status, c.text)
				}
				if c.want >= 0 && !strings.Contains(c.text, ", ") && len(reading.Ignored) > 0 {
					t.Errorf("%s, %d: %q is ignored: %+v", name, status, c.text, reading.Ignored)
				}
				if status == 503 && reading.Answer.Verdict != quota.Overloaded {
					t.Errorf("%s: 503 with %q is %v", name, c.text, reading.Answer.Verdict)
				}
			}
		}
	}
}

func TestVectorsAreEnough(t *testing.T) {
	if n := len(counts) + len(waits); n < 200 {
		t.Errorf("%d vectors of numbers and waits, want 200", n)
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		status int
		retry  string
		want   quota.Verdict
		wait   time.Duration
	}{
		{200, "", quota.Passed, 0}, {429, "", quota.Refused, 0}, {429, "7", quota.Refused, 7 * time.Second},
		{503, "", quota.Passed, 0}, {503, "7", quota.Overloaded, 7 * time.Second}, {503, "0", quota.Overloaded, 0},
		{403, "", quota.Passed, 0}, {403, "7", quota.Passed, 0}, {500, "7", quota.Passed, 0},
		{202, "7", quota.Passed, 0}, {301, "7", quota.Passed, 0}, {0, "", quota.Passed, 0}, {-1, "7", quota.Passed, 0},
	} {
		for _, name := range both {
			resp := answerOf(c.status)
			if c.retry != "" {
				resp = answerOf(c.status, "Retry-After", c.retry)
			}
			reading := mustBuiltin(t, name).Read(resp)
			if a := reading.Answer; a.Verdict != c.want || a.RetryAfter != c.wait || a.Observations != nil {
				t.Errorf("%s: %d with %q: %+v", name, c.status, c.retry, a)
			}
			if c.want == quota.Passed && c.retry != "" && len(reading.Ignored) != 1 {
				t.Errorf("%s: %d: a wait is ignored without a reason", name, c.status)
			}
			if (c.want == quota.Passed) != (reading.Answer.Reason == "") {
				t.Errorf("%s: %d: reason %q", name, c.status, reading.Answer.Reason)
			}
		}
	}
}

// resets are forms of a reset, and what they come to at noon.
var resets = []struct {
	text  string
	after time.Duration
	epoch int64
	slack time.Duration
}{
	{"60", time.Minute, 0, 0}, {"0", 0, 0, 0}, {"-60", 0, 0, 0}, {"64.57", 64570 * time.Millisecond, 0, 0}, {"2592000", 30 * 24 * time.Hour, 0, 0},
	{"600000", 600000 * time.Second, 0, 0}, {"31622400", farthest, 0, 0}, {"6m0s", 6 * time.Minute, 0, 0}, {"547ms", 547 * time.Millisecond, 0, 0},
	{"1767268860", time.Minute, 1767268860, 2 * time.Second}, {"1767268700", 0, 1767268700, 2 * time.Second}, {"1516308901", 0, 1516308901, 2 * time.Second},
	{"1767268860.5", time.Minute + 500*time.Millisecond, 1767268860500, 2 * time.Second}, {"1767268860000", time.Minute, 1767268860000, 2 * time.Second},
	{"2026-01-01T12:01:00Z", time.Minute, 1767268860000, 2 * time.Second}, {"2026-01-01T12:01:00.123456Z", time.Minute + 123456*time.Microsecond, 1767268860123, 2 * time.Second},
	{"2026-01-01T12:01Z", time.Minute, 1767268860000, time.Minute}, {"Thu, 01 Jan 2026 12:01:00 GMT", time.Minute, 1767268860, 2 * time.Second},
	{"60, 60", time.Minute, 0, 0}, {"60, 90", 90 * time.Second, 0, 0},
}

func TestResets(t *testing.T) {
	for _, c := range resets {
		a := auto{}.Read(answerOf(200, "X-RateLimit-Remaining", "5", "X-RateLimit-Reset", c.text)).Answer
		want := quota.Reset{Known: true, After: c.after, Epoch: c.epoch, Slack: c.slack}
		if len(a.Observations) != 1 || a.Observations[0].Reset != want {
			t.Errorf("%q: %+v, want %+v", c.text, a.Observations, want)
		}
	}
	// A reset that is none does not spoil the count beside it.
	for _, text := range []string{"31622401", "999999999", "1e3", "never", "", "100000000000", "9223372036854775808", "4102444800", "2126-01-01T00:00:00Z", "9000h", "0x3c", "６０"} {
		reading := auto{}.Read(answerOf(200, "X-RateLimit-Remaining", "5", "X-RateLimit-Reset", text))
		if o := reading.Answer.Observations; len(o) != 1 || o[0].Remaining != 5 || o[0].Reset.Known || len(reading.Ignored) != 1 {
			t.Errorf("%q: %+v", text, reading)
		}
	}
}

// The same name is seconds to go for one upstream and an instant for another;
// by the draft it is seconds only (discord-api-docs#4722, GitLab).
func TestResetOfDraftIsSeconds(t *testing.T) {
	resp := answerOf(200, "RateLimit-Remaining", "5", "RateLimit-Reset", "1767268860")
	if o := (ietf{}).Read(resp).Answer.Observations; len(o) != 1 || o[0].Reset.Known {
		t.Errorf("ietf: %+v", o)
	}
	if o := (auto{}).Read(resp).Answer.Observations; len(o) != 1 || o[0].Reset.After != time.Minute {
		t.Errorf("auto: %+v", o)
	}
}

// TestPeerBug6ClockSkew: instants are measured from the upstream's own clock
// where its Date is plausible, so an upstream, or a broker, whose clock is off
// by up to two hours changes nothing.
func TestPeerBug6ClockSkew(t *testing.T) {
	const form = "Mon, 02 Jan 2006 15:04:05 GMT"
	for _, skew := range []time.Duration{0, time.Second, -time.Second, time.Hour, -time.Hour, maxSkew, -maxSkew} {
		upstream := noon.Add(skew)
		resp := answerOf(429, "date", upstream.Format(form), "X-RateLimit-Remaining", "0",
			"X-RateLimit-Reset", upstream.Add(time.Minute).Format(time.RFC3339), "Retry-After", upstream.Add(30*time.Second).Format(form))
		a := auto{}.Read(resp).Answer
		if r := a.Observations[0].Reset; r.After != time.Minute-dateMiddle || r.Slack != dateSlack || a.RetryAfter != 30*time.Second {
			t.Errorf("skew %v: %+v, wait %v", skew, r, a.RetryAfter)
		}
	}
	// A Date further off is stale: the instant is measured from when the response
	// came in, and less is made of it.
	for _, date := range []string{noon.Add(-maxSkew - time.Second).Format(form), noon.Add(maxSkew + time.Second).Format(form), "yesterday", ""} {
		a := auto{}.Read(answerOf(200, "Date", date, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1767268860")).Answer
		if r := a.Observations[0].Reset; r.After != time.Minute || r.Slack != localSlack {
			t.Errorf("Date %q: %+v", date, r)
		}
	}
}

func TestInstantWithoutClock(t *testing.T) {
	resp := answerOf(429, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1767268860", "Retry-After", "1767268860")
	resp.Received = time.Time{}
	reading := auto{}.Read(resp)
	if a := reading.Answer; a.RetryAfter != 0 || a.Observations[0].Reset.Known || len(reading.Ignored) != 2 {
		t.Errorf("%+v", reading)
	}
	resp.Headers = append(resp.Headers, Field{"Date", "Thu, 01 Jan 2026 12:00:00 GMT"})
	if a := (auto{}).Read(resp).Answer; a.RetryAfter != time.Minute || a.Observations[0].Reset.After != time.Minute-dateMiddle {
		t.Errorf("with a Date: %+v", a)
	}
}

// The zone of the machine must not matter.
func TestDatesAreUTC(t *testing.T) {
	zone, err := time.LoadLocation("Australia/Lord_Howe")
	if err != nil {
		t.Skip("no time zones here: ", err)
	}
	resp := refusal("Retry-After", "Thu Jan  1 12:00:05 2026")
	resp.Received = noon.In(zone)
	if a := (ietf{}).Read(resp).Answer; a.RetryAfter != 5*time.Second {
		t.Errorf("%v", a.RetryAfter)
	}
}
