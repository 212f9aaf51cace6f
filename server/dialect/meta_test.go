package dialect

import (
	"testing"

	"github.com/quotabroker/quotabroker/server/quota"
)

// metaUsages are values of X-App-Usage and what is left, in percent; -1 for one
// that is ignored.
var metaUsages = []struct {
	value string
	left  int64
}{
	{`{"call_count":28,"total_time":25,"total_cputime":25}`, 71}, // the documentation's own
	{`{"call_count":0,"total_time":0,"total_cputime":0}`, 100},
	{`{"call_count":1,"total_time":40.7,"total_cputime":3}`, 59},
	{`{"call_count":1,"total_time":3,"total_cputime":99}`, 0},
	{`{"call_count":143}`, 0},
	{`{}`, 100},
	{`{"call_count":-1,"total_time":-1,"total_cputime":-1}`, -1},
	{`{"call_count":1e300}`, -1},
	{`{"call_count":NaN}`, -1},
	{`{"call_count":"28"}`, -1},
	{`[28]`, -1},
	{``, -1},
}

func TestMetaUsage(t *testing.T) {
	for _, c := range metaUsages {
		r := mustBuiltin(t, "meta").Read(answerOf(200, "x-app-usage", c.value))
		if c.left < 0 {
			if len(r.Answer.Observations) != 0 || len(r.Ignored) != 1 {
				t.Errorf("%s: got %+v", c.value, r)
			}
			continue
		}
		want := quota.Observation{
			Limit: "app-usage", Says: true, Unit: quota.Share,
			Quota: quota.WholeShare, Remaining: c.left * quota.OnePercent,
		}
		if len(r.Answer.Observations) != 1 || r.Answer.Observations[0] != want {
			t.Errorf("%s: got %+v, want %+v", c.value, r.Answer.Observations, want)
		}
	}
}

// metaRefusals are errors, and whose quota they say is spent.
var metaRefusals = []struct {
	status  int
	body    string
	verdict quota.Verdict
	blocked string
}{
	{400, `{"error":{"message":"(#4) Application request limit reached","type":"OAuthException","code":4}}`, quota.Refused, "app-usage"},
	{403, `{"error":{"message":"(#17) User request limit reached","code":17}}`, quota.Refused, "user"},
	{400, `{"error":{"message":"(#32) Page request limit reached","code":32}}`, quota.Refused, ""},
	{400, `{"error":{"message":"(#613) Calls to this api have exceeded the rate limit.","code":613}}`, quota.Refused, ""},
	{400, `{"error":{"message":"Invalid parameter","code":100}}`, quota.Passed, ""},
	{200, `{"error":{"code":4}}`, quota.Passed, ""},
	{400, `not JSON`, quota.Passed, ""},
}

func TestMetaRefusal(t *testing.T) {
	for _, c := range metaRefusals {
		resp := answerOf(c.status)
		resp.Body = []byte(c.body)
		a := mustBuiltin(t, "meta").Read(resp).Answer
		blocked := ""
		for _, o := range a.Observations {
			if o.Blocked {
				blocked = o.Limit
			}
		}
		if a.Verdict != c.verdict || blocked != c.blocked {
			t.Errorf("%d %s: verdict %v, blocked %q; want %v, %q", c.status, c.body, a.Verdict, blocked, c.verdict, c.blocked)
		}
	}
}

// A refusal on a user's account says nothing against the application's usage.
func TestMetaRefusalOfAUser(t *testing.T) {
	resp := answerOf(400, "X-App-Usage", `{"call_count":100}`)
	resp.Body = []byte(`{"error":{"code":17}}`)
	a := mustBuiltin(t, "meta").Read(resp).Answer
	if len(a.Observations) != 2 || a.Observations[0].Blocked || !a.Observations[1].Blocked {
		t.Errorf("got %+v", a.Observations)
	}
}
