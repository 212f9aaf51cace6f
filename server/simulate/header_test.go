package simulate

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// say is the fields and the text of the answers to two calls, 0.4 s apart: the
// first takes the last unit of the member, the second is refused.
func say(t *testing.T, h Headers, clock Clock) (served, refused string) {
	t.Helper()
	u, err := NewUpstream(API{Headers: h, Clock: clock, Limits: []Limit{
		{Name: "app", Quota: 8, Window: Shape{Fixed: time.Minute}},
		{Name: "member", Per: []string{"app", "user"}, Quota: 1, Window: Shape{Fixed: 10 * time.Second}},
	}}, t0, 1)
	if err != nil {
		t.Fatal(err)
	}
	one := func(after string) string {
		a := u.Serve(at(t, after), Request{Call: Call{App: "a", User: "u"}})
		text := fmt.Sprint(a.Status)
		for _, h := range a.Headers {
			text += "\n" + h.Name + ": " + h.Value
		}
		return text + strings.TrimSuffix("\n"+a.Body, "\n")
	}
	return one("0.3s"), one("0.7s")
}

// TestHeaders holds each style. t0 is 13:46:43 UTC, 3 s after a multiple of ten.
func TestHeaders(t *testing.T) {
	for _, tt := range []struct {
		name            string
		headers         Headers
		clock           Clock
		served, refused string
	}{
		{
			"the guide's", Headers{RetryAfter: true}, Clock{},
			"200\nX-RateLimit-Limit: 1\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 7",
			"429\nX-RateLimit-Limit: 1\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 7\nRetry-After: 7",
		},
		{
			"rounded down", Headers{Round: Down}, Clock{},
			"200\nX-RateLimit-Limit: 1\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 6",
			"429\nX-RateLimit-Limit: 1\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 6",
		},
		{
			"rounded", Headers{Round: Nearest, Date: true}, Clock{},
			"200\nX-RateLimit-Limit: 1\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 7\nDate: Mon, 12 Jan 1970 13:46:43 GMT",
			"429\nX-RateLimit-Limit: 1\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 6\nDate: Mon, 12 Jan 1970 13:46:43 GMT",
		},
		{
			// The window ends at 1000010 by our clock.
			"epochs by a clock half a minute ahead, dates by one that is 3 s more", Headers{Reset: Epoch}, Clock{Skew: 30 * time.Second, Date: 3 * time.Second},
			"200\nX-RateLimit-Limit: 1\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1000040\nDate: Mon, 12 Jan 1970 13:47:16 GMT",
			"429\nX-RateLimit-Limit: 1\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1000040\nDate: Mon, 12 Jan 1970 13:47:16 GMT",
		},
		{
			"of every bucket", Headers{Which: All}, Clock{},
			"200\nX-RateLimit-Limit-app: 8\nX-RateLimit-Remaining-app: 7\nX-RateLimit-Reset-app: 17" +
				"\nX-RateLimit-Limit-member: 1\nX-RateLimit-Remaining-member: 0\nX-RateLimit-Reset-member: 7",
			"429\nX-RateLimit-Limit-app: 8\nX-RateLimit-Remaining-app: 7\nX-RateLimit-Reset-app: 17" +
				"\nX-RateLimit-Limit-member: 1\nX-RateLimit-Remaining-member: 0\nX-RateLimit-Reset-member: 7",
		},
		{
			"the draft's", Headers{Style: IETF, Which: All}, Clock{},
			"200\nRateLimit-Policy: \"app\";q=8;w=60, \"member\";q=1;w=10\nRateLimit: \"app\";r=7;t=17, \"member\";r=0;t=7",
			"429\nRateLimit-Policy: \"app\";q=8;w=60, \"member\";q=1;w=10\nRateLimit: \"app\";r=7;t=17, \"member\";r=0;t=7",
		},
		{
			"without a reset", Headers{Style: NoReset}, Clock{},
			"200\nX-RateLimit-Limit: 1\nX-RateLimit-Remaining: 0",
			"429\nX-RateLimit-Limit: 1\nX-RateLimit-Remaining: 0",
		},
		{
			"in percent", Headers{Style: Meta, Which: All}, Clock{},
			`200` + "\n" + `X-App-Usage: {"call_count":12,"total_cputime":0,"total_time":0}` +
				"\n" + `X-App-Usage: {"call_count":100,"total_cputime":0,"total_time":0}`,
			`429` + "\n" + `X-App-Usage: {"call_count":12,"total_cputime":0,"total_time":0}` +
				"\n" + `X-App-Usage: {"call_count":100,"total_cputime":0,"total_time":0}`,
		},
		{"Retry-After alone", Headers{Style: RetryAfter}, Clock{}, "200", "429\nRetry-After: 7"},
		{
			"LinkedIn's", Headers{Style: LinkedIn}, Clock{}, "200",
			`429` + "\n" + `{"message":"Resource level throttle APPLICATION_AND_MEMBER 10 SECOND limit for calls to this resource is reached.","status":429}`,
		},
		{"none", Headers{Style: Silent}, Clock{}, "200", "429"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			served, refused := say(t, tt.headers, tt.clock)
			if served != tt.served {
				t.Errorf("served: got\n%s\nwant\n%s", served, tt.served)
			}
			if refused != tt.refused {
				t.Errorf("refused: got\n%s\nwant\n%s", refused, tt.refused)
			}
		})
	}
}

func TestLinkedInSentence(t *testing.T) {
	l := Limit{Name: "app-day", Per: []string{"app", "endpoint"}, Quota: 1, Window: Shape{Calendar: "day"}}
	want := `{"message":"Resource level throttle APPLICATION DAY limit for calls to this resource is reached.","status":429}`
	if got := sentence(l); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestBogusValues holds what each false value looks like, of an answer that would
// have said 10, 6 and 7.
func TestBogusValues(t *testing.T) {
	for v, want := range map[BogusValue]string{
		NothingLeft: "10 0 7",
		HugeLimit:   "1000000000 1000000000 7",
		FarReset:    "10 6 315360000",
		Negative:    "10 -5 7",
		Overused:    "1 -3 7",
		NotANumber:  "10 NaN 7",
	} {
		u, err := NewUpstream(API{
			Limits: []Limit{{Name: "app", Quota: 10, Window: Shape{Fixed: 10 * time.Second}, Used: 3}},
			Noise:  Noise{Bogus: Bogus{Share: 1, Values: []BogusValue{v}}},
		}, t0, 1)
		if err != nil {
			t.Fatal(err)
		}
		a := u.Serve(t0, Request{Call: Call{App: "a"}})
		got := a.Value("X-RateLimit-Limit") + " " + a.Value("X-RateLimit-Remaining") + " " + a.Value("X-RateLimit-Reset")
		if got != want || u.fired.Bogus != 1 {
			t.Errorf("%s: got %s, want %s", v, got, want)
		}
	}
}

// TestLagging holds that a node that lags tells what was left before the last
// calls but the present one, and never more than there is of a window.
func TestLagging(t *testing.T) {
	u, err := NewUpstream(API{
		Limits: []Limit{{Name: "app", Quota: 10, Window: Shape{Fixed: 10 * time.Second}}},
		Noise:  Noise{Lagging: Lagging{Share: 1, By: 2}},
	}, t0, 1)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, after := range []string{"0s", "0s", "0s", "0s", "8s"} {
		got += " " + u.Serve(at(t, after), Request{Call: Call{App: "a"}}).Value("X-RateLimit-Remaining")
	}
	if want := " 9 9 9 8 9"; got != want {
		t.Errorf("got%s, want%s", got, want)
	}
}

// TestShares holds that what befalls a share of the answers befalls about that
// share, and jitter stays within its bounds.
func TestShares(t *testing.T) {
	const calls = 10_000
	u, err := NewUpstream(API{
		Limits: []Limit{{Name: "app", Quota: calls, Window: Shape{Fixed: time.Hour}}},
		Noise:  Noise{Drop: 0.3, Jitter: 2 * time.Second, Lagging: Lagging{Share: 0.1, By: 5}, Bogus: Bogus{Share: 0.01, Values: []BogusValue{Negative}}},
	}, t0, 1)
	if err != nil {
		t.Fatal(err)
	}
	silent := int64(0)
	resets := make(map[string]int)
	for range calls {
		a := u.Serve(t0, Request{Call: Call{App: "a"}})
		if a.Headers == nil {
			silent++
			continue
		}
		resets[a.Value("X-RateLimit-Reset")]++
	}
	about := func(what string, got int64, share float64) {
		if want := share * calls; float64(got) < 0.9*want-30 || float64(got) > 1.1*want+30 {
			t.Errorf("%s: %d of %d, want about %v", what, got, calls, want)
		}
	}
	about("silent", silent, 0.3)
	about("dropped", u.fired.HeadersDropped, 0.3)
	about("jitter", u.fired.Jitter, 0.7)
	about("lagging", u.fired.Lagging, 0.07)
	about("bogus", u.fired.Bogus, 0.007)
	// The hour ends 797 s after t0; whole seconds round up.
	for reset := range resets {
		if reset < "795" || reset > "799" || len(reset) != 3 {
			t.Errorf("a reset of %s, want 795 to 799", reset)
		}
	}
	if len(resets) < 4 {
		t.Errorf("only resets of %v", resets)
	}
}
