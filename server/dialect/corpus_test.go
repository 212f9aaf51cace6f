package dialect

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// example is one entry of testdata/dialects.json: a response as an upstream's
// documentation, code or captures have it, and what it says.
type example struct {
	Provider string         `json:"provider"`
	Example  string         `json:"example"`
	Status   int            `json:"status"`
	Headers  map[string]any `json:"headers_example"`
	Body     any            `json:"body_example"`
	Expected []expected     `json:"expected"`
}

type expected struct {
	Limit     *float64 `json:"limit"`
	Remaining *float64 `json:"remaining"`
	Kind      string   `json:"reset_kind"`
	Reset     any      `json:"reset_value"`
	Window    *float64 `json:"window_seconds"`
	Unit      string   `json:"unit"`
}

func (e example) key() string { return e.Provider + ": " + e.Example }

func (e example) response(received time.Time) Response {
	resp := Response{Status: e.Status, Received: received}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		switch v := e.Headers[name].(type) {
		case string:
			resp.Headers = append(resp.Headers, Field{name, v})
		case []any:
			for _, line := range v {
				resp.Headers = append(resp.Headers, Field{name, line.(string)})
			}
		}
	}
	switch body := e.Body.(type) {
	case nil:
	case string:
		resp.Body = []byte(body)
	default:
		resp.Body, _ = json.Marshal(body)
	}
	return resp
}

// scoped says by what parts a bucket is counted.
var (
	byApp    = &quota.Parts{Endpoint: true}
	byMember = &quota.Parts{User: true, Endpoint: true}
)

// read is an entry that the built-in dialects read, and what of its expectation
// is on the wire in a way that they know.
type read struct {
	key string
	by  []string
	// at is when the response came in, in Unix seconds; 0 where it tells no
	// instants.
	at int64
	// buckets are the indices of what is expected as observations, in their
	// order; waits of what is expected as RetryAfter.
	buckets, waits []int
	// names are the names that the observations have; nil when they have none.
	names []string
	// windows says that the response tells its windows.
	windows bool
	// says is the parts that the response tells.
	says *quota.Parts
	// verdict is what it says of the call.
	verdict quota.Verdict
	// left is why the rest of what is expected is not read.
	left string
}

var (
	both     = []string{"ietf", "auto"}
	generic  = []string{"auto"}
	ours     = []string{"linkedin"}
	oursToo  = []string{"linkedin", "auto"}
	first    = []int{0}
	twoOf    = []int{0, 1}
	bodyRule = "a rule on the body belongs to the dialect language"
)

var reads = []read{
	{key: "linkedin: 429 as guides for integrators print it", by: oursToo, buckets: first, verdict: quota.Refused},
	{key: "linkedin: 429 daily throttle (error-handling page + field report)", by: ours, buckets: first, windows: true, verdict: quota.Refused},
	{key: "linkedin: 429 body names scope APPLICATION and window DAY", by: ours, buckets: first, windows: true, says: byApp, verdict: quota.Refused},
	{key: "linkedin: 429 body names scope APPLICATION_AND_MEMBER (= one member of the app) and window DAY", by: ours, buckets: first, windows: true, says: byMember, verdict: quota.Refused},

	{key: "ietf-draft-10: single policy", by: both, buckets: first, names: []string{"fixedwindow"}, windows: true},
	{key: "ietf-draft-10: two policies, one reported", by: both, buckets: twoOf, names: []string{"day", "hour"}, windows: true},
	{key: "ietf-draft-10: no policy header", by: both, buckets: first, names: []string{"default"}},
	{key: "ietf-draft-10: partition key", by: both, buckets: first, names: []string{"peruser"}, windows: true},
	{key: "ietf-draft-10: partition key, no reset", by: both, buckets: first, names: []string{"default"}},
	{key: "ietf-draft-10: bytes as quota unit", by: both, buckets: first, names: []string{"peruser"}, windows: true},
	{key: "ietf-draft-10: policy header on two lines with vendor params", by: both, buckets: twoOf, names: []string{"sliding", "fixed"}, windows: true},
	{key: "ietf-draft-10: 429 with HTTP-date Retry-After", by: both, at: 1564997220, buckets: first, waits: []int{1}, names: []string{"default"}, verdict: quota.Refused},
	{key: "ietf-draft-03: limit header with quota policies as list", by: both, buckets: twoOf, windows: true},
	{key: "ietf-draft-03: sliding window with comment parameters", by: both, buckets: twoOf, windows: true},
	{key: "ietf-draft-07: single dictionary header", by: both, buckets: first, windows: true},
	{key: "ietf-draft-07: missing remaining", by: both, buckets: first},

	{key: "rfc9110: Retry-After seconds", by: both, waits: first, verdict: quota.Overloaded},
	{key: "rfc9110: Retry-After HTTP-date", by: both, at: 1564997220, waits: first, verdict: quota.Overloaded},
	{key: "rfc6585: 429 sample", by: both, waits: first, verdict: quota.Refused},

	{key: "github: primary limit headers, success", by: generic, at: 1350082000, buckets: first, names: []string{"core"}},
	{key: "github: primary limit exhausted", by: generic, at: 1377010000, buckets: first, names: []string{"core"}},
	{key: "github: secondary limit with Retry-After", by: generic, at: 1350082000, buckets: []int{1}, names: []string{"core"}, left: "a 403 is a refusal by its body only: " + bodyRule},
	{key: "discord: success", by: generic, at: 1470173022, buckets: first, names: []string{"abcd1234"}},
	{key: "discord: 429 user scope", by: generic, at: 1470172959, buckets: first, names: []string{"abcd1234"}, verdict: quota.Refused},
	{key: "discord: 429 shared scope (remaining is 9!)", by: generic, at: 1470172959, buckets: []int{1}, waits: first, names: []string{"abcd1234"}, verdict: quota.Overloaded},
	{key: "openai: documented table", by: generic, buckets: twoOf, names: []string{"requests", "tokens"}},
	{key: "groq: documented table (same names, other windows)", by: generic, buckets: twoOf, names: []string{"requests", "tokens"}},
	{key: "azure-openai: 200 that is a refusal: streaming", by: generic, buckets: first, names: []string{"tokens"}, left: "a 200 that is a refusal: its rule belongs to the dialect language"},
	{key: "jira-cloud: 429 burst: reason header says which limit", by: generic, at: 1767229200, buckets: first, waits: []int{1}, verdict: quota.Refused},
	{key: "docker-hub: window as parameter", by: both, buckets: first, windows: true},
	{key: "gitlab: IETF names with an EPOCH reset", by: generic, at: 1767229150, buckets: first},
	{key: "gitlab: 429", by: generic, at: 1609844370, buckets: first, names: []string{"throttle_authenticated_web"}, verdict: quota.Refused},
	{key: "reddit: float remaining, delta reset", by: generic, buckets: first},
	{key: "reddit: exhausted float", by: generic, buckets: first, verdict: quota.Refused},
	{key: "twitter-x: success", by: generic, at: 1705420000, buckets: first},
	{key: "twitter-x: 24 h app and user limits beside the 15 min one", by: generic, at: 1723639900, buckets: first, left: "X-App-Limit-* and X-User-Limit-* are X's own names: the dialect language"},
	{key: "klaviyo: success: only the steady window is shown", by: generic, buckets: first, left: "the burst window is in no response: configuration"},
	{key: "klaviyo: 429 drops the RateLimit-* headers", by: both, waits: first, verdict: quota.Refused},
	{key: "zendesk: account + endpoint in one response, duplicate names", by: generic, buckets: first, left: "Zendesk-RateLimit-* has the endpoint in its name: the dialect language"},
	{key: "zendesk: minimal form", by: generic, buckets: first},
	{key: "okta: org-wide", by: generic, at: 1609459150, buckets: first},
	{key: "okta: with Date header", by: generic, at: 1517088805, buckets: first},
	{key: "okta: 429 of calls under way", by: generic, at: 1609459150, waits: first, verdict: quota.Refused},
	{key: "procore: the spike limit is closer", by: generic, at: 1609459195, buckets: first},
	{key: "procore: the hourly limit is closer", by: generic, at: 1609459195, buckets: first},
	{key: "procore: 429 of the spike limit", by: generic, at: 1609459195, buckets: first, verdict: quota.Refused},
	{key: "intercom: sequence 1/4: fresh window", by: generic, at: 1487332503, buckets: first},
	{key: "intercom: sequence 2/4", by: generic, at: 1487332506, buckets: first},
	{key: "intercom: sequence 3/4: window rolled", by: generic, at: 1487332514, buckets: first},
	{key: "sendgrid: success", by: generic, at: 1392815200, buckets: first},
	{key: "sendgrid: 429", by: generic, at: 1392815200, buckets: first, verdict: quota.Refused},
	{key: "auth0: success", by: generic, at: 1643756400, buckets: first},
	{key: "auth0: HTTP 500 that is a rate limit, with a healthy-looking bucket", by: generic, at: 1643756400, buckets: []int{1}, left: bodyRule},
	{key: "slack: 429", by: generic, waits: first, verdict: quota.Refused},
	{key: "notion: 429", by: generic, waits: first, verdict: quota.Refused},
}

// elsewhere are the entries that no built-in dialect reads in full, and why.
// Each belongs to the dialect language unless another test is named.
var elsewhere = map[string]string{
	"linkedin: 200 - no rate-limit headers are documented":          "TestLinkedInLimits",
	"linkedin: 429 infrastructure protection (no scope, no window)": "TestLinkedInProtection",
	"github: secondary limit without Retry-After":                   bodyRule,
	"strava: success": "calendar windows that the wire does not tell; the counts are in TestAutoTuple",
	"strava: 429: usage exceeds limit, so remaining must clamp at 0":       "calendar windows that the wire does not tell; the counts are in TestAutoTuple",
	"trello: success, key + token in one response":                         "names with the scope in them",
	"trello: 429 token limit":                                              bodyRule,
	"riot: multi-window app header":                                        "pairs of count and window",
	"riot: dev key, app+method":                                            "pairs of count and window",
	"salesforce: success":                                                  "its own grammar",
	"salesforce: with per-app quota (semicolon, parameter in parentheses)": "its own grammar",
	"hubspot: success":                                                     "a vendor's prefix, and the window in milliseconds",
	"hubspot: 429 daily":                                                   bodyRule,
	"anthropic: success":                                                   "a vendor's prefix",
	"anthropic: input/output split":                                        "a vendor's prefix",
	"meta: X-App-Usage":                                                    "TestMetaUsage",
	"meta: X-Business-Use-Case-Usage":                                      "JSON in a field",
	"jira-cloud: structured-field form under a Beta- prefix":               "a prefix before the names of the draft",
	"shopify-rest: leaky bucket used/max":                                  "used/limit in one value",
	"shopify-rest: 429 with fractional Retry-After":                        "used/limit in one value; the wait is in TestRetryAfter",
	"shopify-graphql: cost in body, HTTP 200":                              bodyRule,
	"shopify-graphql: THROTTLED, HTTP 200":                                 bodyRule,
	"amazon-sp-api: rate only (requests per second, fractional)":           "a rate, not a quota",
	"amazon-sp-api: 429":                                                   "a rate, not a quota",
	"docker-hub: 429":                                                      bodyRule,
	"binance: used weight, no limit in the response":                       "the window is in the name, the limit is not told",
	"binance: order counts in several windows":                             "the window is in the name, the limit is not told",
	"microsoft-graph: identity: cost + fraction of limit":                  "a fraction of a limit",
	"microsoft-graph: 429 with scope string":                               "a scope in its own grammar",
	"etsy: two windows, names carry the window":                            "names with the window in them",
	"stripe: 429 with reason, no Retry-After":                              "the reason's words",
	"google-apis: 403 that is a rate limit":                                bodyRule,
	"google-apis: 429 RESOURCE_EXHAUSTED":                                  bodyRule,
}

func examples(t testing.TB) map[string]example {
	t.Helper()
	raw, err := os.ReadFile("testdata/dialects.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []example
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	byKey := make(map[string]example, len(list))
	for _, e := range list {
		if _, twice := byKey[e.key()]; twice {
			t.Fatalf("two entries %q", e.key())
		}
		byKey[e.key()] = e
	}
	return byKey
}

func TestCorpus(t *testing.T) {
	byKey := examples(t)
	for _, want := range reads {
		e, ok := byKey[want.key]
		if !ok {
			t.Errorf("no entry %q", want.key)
			continue
		}
		if len(want.buckets)+len(want.waits) < len(e.Expected) && want.left == "" {
			t.Errorf("%q: not all that is expected is read, and nothing says why", want.key)
		}
		for _, name := range want.by {
			t.Run(name+"/"+want.key, func(t *testing.T) { checkRead(t, name, want, e) })
		}
	}
}

func TestCorpusIsComplete(t *testing.T) {
	byKey := examples(t)
	seen := map[string]bool{}
	for _, want := range reads {
		if seen[want.key] {
			t.Errorf("%q is listed twice", want.key)
		}
		seen[want.key] = true
	}
	for key, why := range elsewhere {
		if _, ok := byKey[key]; !ok || why == "" || seen[key] {
			t.Errorf("%q: no such entry, no reason, or listed twice", key)
		}
		seen[key] = true
	}
	for key := range byKey {
		if !seen[key] {
			t.Errorf("%q is neither read nor listed as read elsewhere", key)
		}
	}
}

func checkRead(t *testing.T, name string, want read, e example) {
	received := time.Unix(1_700_000_000, 0)
	if want.at != 0 {
		received = time.Unix(want.at, 0)
	}
	a := mustBuiltin(t, name).Read(e.response(received)).Answer
	if a.Verdict != want.verdict {
		t.Errorf("verdict %v, want %v", a.Verdict, want.verdict)
	}
	if len(a.Observations) != len(want.buckets) {
		t.Fatalf("%d observations, want %d: %+v", len(a.Observations), len(want.buckets), a.Observations)
	}
	for i, index := range want.buckets {
		limit := ""
		if want.names != nil {
			limit = want.names[i]
		}
		w := e.Expected[index].observation(t, want, received)
		w.Limit = limit
		w.Blocked = want.verdict == quota.Refused && w.Remaining == 0
		got := a.Observations[i]
		checkReset(t, got.Reset, e.Expected[index], received)
		got.Reset = quota.Reset{}
		if got != w {
			t.Errorf("observation %d:\n got %+v\nwant %+v", i, got, w)
		}
	}
	for _, index := range want.waits {
		if after := resetAfter(t, e.Expected[index], received); a.RetryAfter != after {
			t.Errorf("RetryAfter %v, want %v", a.RetryAfter, after)
		}
	}
}

// observation is what is expected, but for its name and reset.
func (e expected) observation(t *testing.T, want read, received time.Time) quota.Observation {
	o := quota.Observation{Remaining: quota.Unknown, Unit: e.Unit}
	if e.Unit == quota.Requests {
		o.Unit = ""
	}
	if e.Limit != nil {
		o.Quota = int64(*e.Limit)
	}
	if e.Remaining != nil {
		o.Remaining = int64(math.Floor(*e.Remaining))
	}
	switch {
	case e.Kind == "calendar" && *e.Window == 86400:
		o.Window = quota.Window{Kind: quota.Calendar, Unit: quota.Day}
	case want.windows:
		o.Window = quota.Window{Kind: quota.Fixed, Period: time.Duration(*e.Window) * time.Second}
	}
	if want.says != nil {
		o.Says, o.Per = true, *want.says
	}
	return o
}

func checkReset(t *testing.T, got quota.Reset, e expected, received time.Time) {
	t.Helper()
	if known := e.Kind != "none" && e.Kind != "calendar"; got.Known != known {
		t.Fatalf("reset known %v, want %v", got.Known, known)
	}
	if !got.Known {
		return
	}
	after := resetAfter(t, e, received)
	if got.Slack == dateSlack {
		after = max(0, after-dateMiddle) // less a Date, which is cut
	}
	if got.After != after {
		t.Errorf("reset after %v, want %v", got.After, after)
	}
	if e.Kind == "epoch_seconds" && got.Epoch != int64(e.Reset.(float64)) {
		t.Errorf("epoch %d, want %v", got.Epoch, e.Reset)
	}
}

// resetAfter is the duration that an expected reset comes to.
func resetAfter(t *testing.T, e expected, received time.Time) time.Duration {
	t.Helper()
	var at time.Time
	var err error
	switch e.Kind {
	case "delta_seconds":
		return time.Duration(math.Round(e.Reset.(float64)*1000)) * time.Millisecond
	case "duration":
		d, err := time.ParseDuration(e.Reset.(string))
		if err != nil {
			t.Fatal(err)
		}
		return d
	case "epoch_seconds":
		at = time.Unix(int64(e.Reset.(float64)), 0)
	case "rfc3339":
		at, err = time.Parse(time.RFC3339, e.Reset.(string))
	case "http_date":
		at, err = time.Parse(time.RFC1123, e.Reset.(string))
	default:
		t.Fatal("unexpected kind ", e.Kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return max(at.Sub(received), 0)
}

func mustBuiltin(t testing.TB, name string) Dialect {
	t.Helper()
	d, ok := Builtin(name)
	if !ok || d.Name() != name {
		t.Fatalf("no dialect %q", name)
	}
	return d
}

func TestBuiltin(t *testing.T) {
	if !slices.IsSorted(Names()) || len(Names()) != 4 {
		t.Errorf("names %v", Names())
	}
	for _, name := range Names() {
		d := mustBuiltin(t, name)
		if d.Wants().Body != ErrorBody {
			t.Errorf("%s wants bodies %v", name, d.Wants().Body)
		}
		for _, h := range d.Wants().Headers {
			if h != strings.ToLower(h) {
				t.Errorf("%s wants %q, which is not in lower case", name, h)
			}
		}
	}
	if d, ok := Builtin("no-such"); ok || d != nil {
		t.Error(fmt.Sprint("a dialect of no name: ", d))
	}
}
