package dialect

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// seen is an observation without what these tests don't look at.
type seen struct {
	limit, unit      string
	quota, remaining int64
	reset, window    time.Duration
}

func seenOf(list []quota.Observation) []seen {
	var all []seen
	for _, o := range list {
		s := seen{o.Limit, o.Unit, o.Quota, o.Remaining, -1, o.Window.Period}
		if o.Reset.Known {
			s.reset = o.Reset.After
		}
		all = append(all, s)
	}
	return all
}

const minute = time.Minute

// autoTable is fields, name and value in turn, and what is seen in them.
var autoTable = []struct {
	name   string
	fields []string
	want   []seen
}{
	{"three fields", []string{"X-RateLimit-Limit", "500", "X-RateLimit-Remaining", "499", "X-RateLimit-Reset", "60"}, []seen{{"", "", 500, 499, minute, 0}}},
	{"another hyphen", []string{"X-Rate-Limit-Limit", "500", "X-Rate-Limit-Remaining", "499", "X-Rate-Limit-Reset", "60"}, []seen{{"", "", 500, 499, minute, 0}}},
	{"no X", []string{"RateLimit-Limit", "500", "RateLimit-Remaining", "499", "RateLimit-Reset", "60"}, []seen{{"", "", 500, 499, minute, 0}}},
	{"neither", []string{"Rate-Limit-Limit", "500", "Rate-Limit-Remaining", "499", "Rate-Limit-Reset", "60"}, []seen{{"", "", 500, 499, minute, 0}}},
	{"bare limit", []string{"X-Rate-Limit", "700", "X-Rate-Limit-Remaining", "699"}, []seen{{"", "", 700, 699, -1, 0}}},
	{"limit only", []string{"X-RateLimit-Limit", "500"}, []seen{{"", "", 500, quota.Unknown, -1, 0}}},
	{"remaining only", []string{"X-RateLimit-Remaining", "5"}, []seen{{"", "", 0, 5, -1, 0}}},
	{"used with a limit", []string{"X-RateLimit-Limit", "500", "X-RateLimit-Used", "20"}, []seen{{"", "", 500, 480, -1, 0}}},
	{"used beyond the limit", []string{"X-RateLimit-Limit", "600", "X-RateLimit-Usage", "692"}, []seen{{"", "", 600, 0, -1, 0}}},
	{"used and remaining", []string{"X-RateLimit-Used", "43", "X-RateLimit-Remaining", "57.0"}, []seen{{"", "", 100, 57, -1, 0}}},
	{"a fraction left is nothing left", []string{"X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "57.9"}, []seen{{"", "", 100, 57, -1, 0}}},
	{"a fraction used is used", []string{"X-RateLimit-Limit", "100", "X-RateLimit-Used", "5.1"}, []seen{{"", "", 100, 94, -1, 0}}},
	{"used alone says nothing", []string{"X-RateLimit-Used", "43"}, nil},
	{"the worse of remaining and used", []string{"X-RateLimit-Limit", "100", "X-RateLimit-Used", "60", "X-RateLimit-Remaining", "50"}, []seen{{"", "", 100, 40, -1, 0}}},
	{"remaining above the limit", []string{"X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "150"}, []seen{{"", "", 100, 100, -1, 0}}},
	{"less than nothing left", []string{"X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "-27689"}, []seen{{"", "", 100, 0, -1, 0}}},
	{"limit 0 is not told", []string{"X-RateLimit-Limit", "0", "X-RateLimit-Remaining", "0"}, []seen{{"", "", 0, 0, -1, 0}}},
	{"limit 0 does not cut what is left", []string{"X-RateLimit-Limit", "0", "X-RateLimit-Remaining", "7"}, []seen{{"", "", 0, 7, -1, 0}}},
	{"no limit", []string{"X-RateLimit-Limit", "-1", "X-RateLimit-Remaining", "-1"}, nil},
	{"garbage beside a count", []string{"X-RateLimit-Limit", "unlimited", "X-RateLimit-Remaining", "7"}, []seen{{"", "", 0, 7, -1, 0}}},
	{"a huge limit", []string{"X-RateLimit-Limit", "99999999999999999999", "X-RateLimit-Remaining", "9223372036854775808"}, []seen{{"", "", quota.MaxQuota, quota.MaxQuota, -1, 0}}},
	{"reset alone", []string{"X-RateLimit-Reset", "60"}, nil},
	{"name alone", []string{"X-RateLimit-Resource", "core"}, nil},
	{"space around", []string{"X-RateLimit-Limit", " 500 ", "X-RateLimit-Remaining", "499\t", "X-RateLimit-Reset", "60  "}, []seen{{"", "", 500, 499, minute, 0}}},
	{"the same in two spellings", []string{"x-rate-limit", "700", "ratelimit-limit", "700", "x-rate-limit-remaining", "699", "ratelimit-remaining", "699", "ratelimit-reset", "41"}, []seen{{"", "", 700, 699, 41 * time.Second, 0}}},
	{"two spellings of two buckets", []string{"X-RateLimit-Limit", "700", "X-RateLimit-Remaining", "699", "RateLimit-Limit", "10", "RateLimit-Remaining", "9"}, []seen{{"", "", 700, 699, -1, 0}, {"", "", 10, 9, -1, 0}}},
	{"suffixes", []string{"x-ratelimit-limit-requests", "60", "x-ratelimit-limit-tokens", "150000", "x-ratelimit-remaining-requests", "59", "x-ratelimit-remaining-tokens", "149984", "x-ratelimit-reset-requests", "1s", "x-ratelimit-reset-tokens", "6m0s"},
		[]seen{{"requests", "", 60, 59, time.Second, 0}, {"tokens", "tokens", 150000, 149984, 6 * minute, 0}}},
	{"words before", []string{"X-RateLimit-Requests-Limit", "500", "X-RateLimit-Requests-Remaining", "499", "X-RateLimit-Requests-Reset", "2592000"}, []seen{{"requests", "", 500, 499, 720 * time.Hour, 0}}},
	{"words before two words", []string{"X-RateLimit-User-Remaining", "5", "X-RateLimit-User-Reset-After", "1.5"}, []seen{{"user", "", 0, 5, 1500 * time.Millisecond, 0}}},
	{"windows in the name", []string{"X-RateLimit-Limit-Minute", "5", "X-RateLimit-Remaining-Minute", "4", "X-RateLimit-Limit-Day", "100", "X-RateLimit-Remaining-Day", "90"},
		[]seen{{"minute", "", 5, 4, -1, minute}, {"day", "", 100, 90, -1, 24 * time.Hour}}},
	{"more windows in the name", []string{"X-RateLimit-Hourly-Limit", "5", "X-RateLimit-Limit-Per-Second", "1"}, []seen{{"hourly", "", 5, quota.Unknown, -1, time.Hour}, {"per-second", "", 1, quota.Unknown, -1, time.Second}}},
	{"words for a reset", []string{"X-RateLimit-Remaining", "1", "X-RateLimit-Reset-At", "2026-01-01T12:01:00Z"}, []seen{{"", "", 0, 1, minute, 0}}},
	{"one spelling completes the other", []string{"X-RateLimit-Name", "n", "RateLimit-Limit", "9", "RateLimit-Used", "4", "RateLimit-Reset", "60", "RateLimit-Window", "60"}, []seen{{"n", "", 9, 5, minute, minute}}},
	{"window in a field", []string{"X-RateLimit-Limit", "5", "X-RateLimit-Window", "60"}, []seen{{"", "", 5, quota.Unknown, -1, minute}}},
	{"window in words", []string{"X-RateLimit-Limit", "5", "X-RateLimit-Interval", "1m"}, []seen{{"", "", 5, quota.Unknown, -1, minute}}},
	{"no window", []string{"X-RateLimit-Limit", "5", "X-RateLimit-Window", "0"}, []seen{{"", "", 5, quota.Unknown, -1, 0}}},
	{"name in a field", []string{"X-RateLimit-Limit", "30", "X-RateLimit-Remaining", "29", "X-RateLimit-Resource", "search"}, []seen{{"search", "", 30, 29, -1, 0}}},
	{"a name that is none", []string{"X-RateLimit-Limit", "30", "X-RateLimit-Resource", "a\x00b"}, []seen{{"", "", 30, quota.Unknown, -1, 0}}},
	{"a duration before an instant", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1767268870", "X-RateLimit-Reset-After", "64.57"}, []seen{{"", "", 0, 0, 64570 * time.Millisecond, 0}}},
	{"two forms of an instant", []string{"RateLimit-Remaining", "0", "RateLimit-Reset", "1767268860", "RateLimit-ResetTime", "Thu, 01 Jan 2026 12:01:00 GMT"}, []seen{{"", "", 0, 0, minute, 0}}},
	{"the same twice", []string{"X-RateLimit-Limit", "335,335", "X-RateLimit-Remaining", "5", "X-RateLimit-Remaining", "5"}, []seen{{"", "", 335, 5, -1, 0}}},
	{"twice and different", []string{"X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "7, 5", "X-RateLimit-Reset", "10", "X-RateLimit-Reset", "60"}, []seen{{"", "", 100, 5, minute, 0}}},
	{"used twice and different", []string{"X-RateLimit-Limit", "100", "X-RateLimit-Used", "5, 7"}, []seen{{"", "", 100, 93, -1, 0}}},
	{"used and overdrawn", []string{"X-RateLimit-Used", "692", "X-RateLimit-Remaining", "-92"}, []seen{{"", "", 0, 0, -1, 0}}},
	{"several buckets have no one name", []string{"X-RateLimit-Limit", "10, 20", "X-RateLimit-Remaining", "1, 2", "X-RateLimit-Reset", "60, 120", "X-RateLimit-Name", "n"},
		[]seen{{"", "", 10, 1, minute, 0}, {"", "", 20, 2, 2 * minute, 0}}},
	{"different limits without a count for each", []string{"X-RateLimit-Limit", "100, 50", "X-RateLimit-Remaining", "40"}, []seen{{"", "", 50, 40, -1, 0}}},
	{"policies after the limit", []string{"X-RateLimit-Limit", "100, 100;window=60", "X-RateLimit-Remaining", "50"}, []seen{{"", "", 100, 50, -1, minute}}},
	{"window as a parameter", []string{"ratelimit-limit", "100;w=21600", "ratelimit-remaining", "20;w=21600"}, []seen{{"", "", 100, 20, -1, 6 * time.Hour}}},
	{"policy of a plain limit", []string{"RateLimit-Limit", "3000", "RateLimit-Remaining", "2999", "RateLimit-Reset", "1767268860", "RateLimit-Policy", "3000;w=300"}, []seen{{"", "", 3000, 2999, minute, 5 * minute}}},
	{"the draft's items", []string{"RateLimit", `"a";r=5;t=60`, "RateLimit-Policy", `"a";q=10;w=60`}, []seen{{"a", "", 10, 5, minute, minute}}},
	{"the draft's items under a bare X name", []string{"X-RateLimit", `"a";r=5;t=60`}, []seen{{"a", "", 0, 5, minute, 0}}},
	{"the draft's dictionary", []string{"RateLimit", "limit=100, remaining=50, reset=60"}, []seen{{"", "", 100, 50, minute, 0}}},
	{"names of others", []string{"X-RateLimiter", "5", "RateLimits", "5", "X-RateLimit-Scope", "user", "X-RateLimit-", "5", "X-RateLimit-User-Limit-Foo", "5", "Anthropic-RateLimit-Limit", "5", "X-RateLimit--Limit", "5"}, []seen{{"", "", 5, quota.Unknown, -1, 0}}},
}

func TestAuto(t *testing.T) {
	for _, c := range autoTable {
		t.Run(c.name, func(t *testing.T) {
			got := seenOf(auto{}.Read(answerOf(200, c.fields...)).Answer.Observations)
			if !slices.Equal(got, c.want) {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// Strava's two windows by position, as its documentation has them.
func TestAutoTuple(t *testing.T) {
	for key, want := range map[string][]seen{
		"strava: success": {{"", "", 600, 286, -1, 0}, {"", "", 30000, 2464, -1, 0}},
		"strava: 429: usage exceeds limit, so remaining must clamp at 0": {{"", "", 600, 0, -1, 0}, {"", "", 30000, 700, -1, 0}},
	} {
		a := auto{}.Read(examples(t)[key].response(noon)).Answer
		if got := seenOf(a.Observations); !slices.Equal(got, want) {
			t.Errorf("%s: %+v", key, got)
		}
		if a.Verdict == quota.Refused && (!a.Observations[0].Blocked || a.Observations[1].Blocked) {
			t.Errorf("%s: the wrong bucket is blocked", key)
		}
	}
}

// TestPeerBug5and16RefusalWithoutCounts: a 429 that says only when to come back
// is a refusal with that wait, and closes no bucket on its own.
func TestPeerBug5and16RefusalWithoutCounts(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields []string
		wait   time.Duration
	}{
		{"Retry-After only", []string{"Retry-After", "65"}, 65 * time.Second},
		{"a reset only", []string{"X-RateLimit-Reset", "60"}, minute},
		{"a reset and Retry-After", []string{"X-RateLimit-Reset", "60", "Retry-After", "5"}, 5 * time.Second},
		{"nothing", nil, 0},
	} {
		a := auto{}.Read(refusal(c.fields...)).Answer
		if a.Verdict != quota.Refused || a.RetryAfter != c.wait || a.Observations != nil {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
}

// TestPeerBug16SharedLimit: a 429 whose bucket has something left is somebody
// else's; the wait counts and the bucket does not close.
func TestPeerBug16SharedLimit(t *testing.T) {
	a := auto{}.Read(refusal("Retry-After", "1337", "X-RateLimit-Limit", "10", "X-RateLimit-Remaining", "9")).Answer
	if a.Verdict != quota.Refused || a.RetryAfter != 1337*time.Second || len(a.Observations) != 1 || a.Observations[0].Blocked || a.Observations[0].Remaining != 9 {
		t.Errorf("%+v", a)
	}
}

// TestPeerBug16GlobalAndShared: Discord's refusals, as it documents them, of all
// calls and of what others share too. What they tell of the call's own limit is
// nothing to be blamed for it.
func TestPeerBug16GlobalAndShared(t *testing.T) {
	own := []string{"Retry-After", "65", "X-RateLimit-Limit", "10", "X-RateLimit-Remaining", "0", "X-RateLimit-Bucket", "abcd1234"}
	global := quota.Observation{Limit: "global", Says: true, Remaining: quota.Unknown, Blocked: true}
	seen := quota.Observation{Limit: "abcd1234", Quota: 10}
	blocked := seen
	blocked.Blocked = true
	for _, c := range []struct {
		name    string
		fields  []string
		verdict quota.Verdict
		want    []quota.Observation
		ignored int
	}{
		{"global", []string{"Retry-After", "65", "X-RateLimit-Global", "true", "X-RateLimit-Scope", "global"}, quota.Refused, []quota.Observation{global}, 0},
		{"before there was a scope", []string{"Retry-After", "65", "X-RateLimit-Global", "True"}, quota.Refused, []quota.Observation{global}, 0},
		{"global, with numbers", append(own, "X-RateLimit-Scope", "global"), quota.Refused, []quota.Observation{seen, global}, 0},
		{"shared", append(own, "X-RateLimit-Scope", "shared"), quota.Overloaded, []quota.Observation{seen}, 0},
		{"user", append(own, "X-RateLimit-Scope", "user"), quota.Refused, []quota.Observation{blocked}, 0},
		{"not global", append(own, "X-RateLimit-Global", "false"), quota.Refused, []quota.Observation{blocked}, 0},
		{"another", append(own, "X-RateLimit-Scope", "ip"), quota.Refused, []quota.Observation{blocked}, 1},
	} {
		reading := auto{}.Read(refusal(c.fields...))
		a := reading.Answer
		if a.Verdict != c.verdict || a.RetryAfter != 65*time.Second || !slices.Equal(a.Observations, c.want) || len(reading.Ignored) != c.ignored {
			t.Errorf("%s: %+v, ignored %v", c.name, a, reading.Ignored)
		}
		passed := auto{}.Read(answerOf(200, c.fields...)).Answer
		if passed.Verdict != quota.Passed || slices.ContainsFunc(passed.Observations, func(o quota.Observation) bool { return o.Blocked }) {
			t.Errorf("%s, of a call that passed: %+v", c.name, passed)
		}
	}
}

func TestNothingLeftIsNoRefusal(t *testing.T) {
	for _, status := range []int{200, 403, 500} {
		a := auto{}.Read(answerOf(status, "X-RateLimit-Remaining", "0")).Answer
		if a.Verdict != quota.Passed || len(a.Observations) != 1 || a.Observations[0].Blocked || a.Observations[0].Remaining != 0 {
			t.Errorf("%d: %+v", status, a)
		}
	}
}

// TestPeerBug22NamesInAnyCase: a field is found whatever the case of its name,
// and in the trailers too.
func TestPeerBug22NamesInAnyCase(t *testing.T) {
	const name = "x-ratelimit-remaining"
	for _, spelled := range []string{name, strings.ToUpper(name), http.CanonicalHeaderKey(name), "X-RateLimit-Remaining", "x-rAtElImIt-ReMaInInG"} {
		for _, resp := range []Response{
			{Status: 429, Headers: []Field{{spelled, "0"}}},
			{Status: 429, Trailers: []Field{{spelled, "0"}}},
		} {
			if o := (auto{}).Read(resp).Answer.Observations; len(o) != 1 || o[0].Remaining != 0 || !o[0].Blocked {
				t.Errorf("%s: %+v", spelled, o)
			}
		}
	}
}

func TestCacheIsNoNews(t *testing.T) {
	counts := []string{"X-RateLimit-Limit", "10", "X-RateLimit-Remaining", "0", "RateLimit", `"a";r=0;t=5`, "X-App-Usage", `{"call_count":100}`}
	for _, name := range Names() {
		d := mustBuiltin(t, name)
		for _, c := range []struct {
			field, value string
			cached       bool
		}{
			{"Age", "1", true}, {"age", "86400", true}, {"Age", "0.5", true}, {"X-From-Cache", "1", true}, {"x-from-cache", "true", true},
			{"Age", "0", false}, {"Age", "-1", false}, {"Age", "old", false}, {"Age", "", false}, {"X-From-Cache", "0", false}, {"X-From-Cache", "", false}, {"X-From-Cache", "false", false},
		} {
			for _, status := range []int{200, 429} {
				resp := answerOf(status, append([]string{c.field, c.value}, counts...)...)
				resp.Body = []byte(`{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","violated-policies":["b"],` +
					`"message":"Resource level throttle APPLICATION DAY limit for calls to this resource is reached."}`)
				reading := d.Read(resp)
				if got := len(reading.Answer.Observations) == 0; got != c.cached {
					t.Errorf("%s, %d: %s: %s: %+v", name, status, c.field, c.value, reading.Answer)
				}
				if c.cached && len(reading.Ignored) == 0 {
					t.Errorf("%s: %s: %s is ignored without a reason", name, c.field, c.value)
				}
				if refused := reading.Answer.Verdict == quota.Refused; refused != (status == 429) {
					t.Errorf("%s, %d: verdict %v", name, status, reading.Answer.Verdict)
				}
			}
		}
	}
}

func TestIgnoredSaysWhy(t *testing.T) {
	for _, c := range []struct{ name, value, reason string }{
		{"X-RateLimit-Limit", "NaN", "not a decimal number"},
		{"X-RateLimit-Limit", strings.Repeat("1", 50), "too long for a number"},
		{"X-RateLimit-Limit", "-1", "a limit below zero: there is none"},
		{"X-RateLimit-Used", "5", "a use without a limit"},
		{"X-RateLimit-Reset", "soon", "neither a duration nor an instant"},
		{"X-RateLimit-Reset", "5", "a reset without a limit or what is left of it"},
		{"X-RateLimit-Reset-After", "2026-01-01T12:00:05Z", "not a duration"},
		{"X-RateLimit-Window", "-5", "no plausible window"},
		{"X-RateLimit-Flavour", "user", "no field that is known"},
		{"X-RateLimit-Name", strings.Repeat("n", 100), "not a name"},
		{"X-RateLimit-Limit", strings.Repeat(" ", 2000), "the value is too long"},
		{"X-RateLimit-Limit-" + strings.Repeat("n", 100), "5", "too long, or no name"},
		{"RateLimit", `"a";t=5`, "an item without a proper name, r or t"},
		{"RateLimit", `"a`, "malformed item"},
		{"RateLimit", `limit="5"`, "not an integer"},
		{"RateLimit", `quota=5`, "no key that is known"},
		{"RateLimit-Policy", `a`, "a policy without a proper name or quota"},
		{"Age", "old", "not a decimal number"},
	} {
		ignored := auto{}.Read(answerOf(200, c.name, c.value)).Ignored
		if len(ignored) != 1 || ignored[0].Reason != c.reason {
			t.Errorf("%s: %.20s: %+v, want %q", c.name, c.value, ignored, c.reason)
		}
	}
}

func TestBounds(t *testing.T) {
	var many []string
	for range 500 {
		many = append(many, "X-RateLimit-Limit", strings.Repeat("x,", 400))
	}
	if n := len(auto{}.Read(answerOf(200, many...)).Ignored); n != maxIgnored {
		t.Errorf("%d ignored", n)
	}
	var limits []string
	for i := range 100 {
		limits = append(limits, "X-RateLimit-Limit-"+strings.Repeat("n", i%40+1), "5")
	}
	reading := auto{}.Read(answerOf(200, limits...))
	if n := len(reading.Answer.Observations); n != maxObservations {
		t.Errorf("%d observations", n)
	}
	if len(reading.Ignored) == 0 {
		t.Error("what is too many is dropped without a reason")
	}
	for _, field := range []string{"X-RateLimit-Limit", "X-RateLimit-Reset", "RateLimit-Policy", "Retry-After"} {
		ignored := auto{}.Read(refusal(field, strings.Repeat("5,", 300))).Ignored
		if !slices.ContainsFunc(ignored, func(i Ignored) bool { return i.Reason == "too many members" }) {
			t.Errorf("%s: a list is read without bounds: %+v", field, ignored)
		}
	}
	// A field that is not wanted does not count as one.
	noise := make([]string, 0, 2000)
	for range 1000 {
		noise = append(noise, "Set-Cookie", "x")
	}
	if n := len(auto{}.Read(answerOf(200, append(noise, "X-RateLimit-Limit", "5")...)).Answer.Observations); n != 1 {
		t.Errorf("%d observations after noise", n)
	}
}
