package show

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/quotaadmin"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares what is written with a file.
func golden(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	var got bytes.Buffer
	if err := write(&got); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, &got, want)
	}
}

func of(d time.Duration) *quotaadmin.Seconds {
	s := quotaadmin.Seconds(d)
	return &s
}

// day is a bucket in a day's window, half used.
func day() quotaadmin.Quota {
	return quotaadmin.Quota{
		API: "linkedin", App: "app-1", Endpoint: "GET /v2/connections", Limit: "app-day", Unit: "requests",
		Quota: 100_000, Remaining: 49_990, Used: 50_010, Others: 120, OthersToday: 412, Pressure: 0.5, Outstanding: 10,
		ResetAfter: of(9*time.Hour + 40*time.Minute), State: "open", Provenance: "configured",
		EndsAfter: of(40*time.Minute + 10*time.Second), HeardAgo: of(1200 * time.Millisecond), Window: "{calendar: day, zone: UTC}",
	}
}

// cooling is one that cools down.
func cooling() quotaadmin.Quota {
	return quotaadmin.Quota{
		API: "linkedin", App: "app-1", User: "u 7", Labels: map[string]string{"tenant": "t1"}, Limit: "member-day", Unit: "tokens",
		Quota: 500, Used: 500, Pressure: 1, Waiting: 3, ResetAfter: of(61 * time.Second), Whose: "said by the response",
		State: "cooling", CooldownAfter: of(59 * time.Second), CooldownReason: "Resource level throttle", Provenance: "told",
		EndsAfter: of(0), HeardAgo: of(3 * 24 * time.Hour),
		Window: "{fixed: 10s}", FoundWindow: "{sliding: 10s}", FoundConfidence: 0.983,
	}
}

// unknown is one of which nothing is known, with a name that would clear the screen.
func unknown() quotaadmin.Quota {
	return quotaadmin.Quota{API: "github", App: "\x1b[2J", Limit: "quota", Unit: "requests", Quota: -1, Remaining: -1, State: "ramping", Provenance: "nobody"}
}

// learned are buckets of users whose quota was learned, and a gate that is held to
// a rate.
func learned() []quotaadmin.Quota {
	sure, siblings, least := day(), day(), day()
	for i, q := range []*quotaadmin.Quota{&sure, &siblings, &least} {
		q.User, q.Provenance, q.EndsAfter, q.Others = string(rune('a'+i)), "learned", nil, 0
	}
	sure.LearnedCosts = []quotaadmin.LearnedCost{{Endpoint: "POST /v2/batch", Cost: 20, Answers: 14}, {Cost: 2}}
	sure.Confidence = &quotaadmin.Confidence{Confirmed: 3, ConfirmedAgo: of(26 * time.Hour), Full: 1, Siblings: 3}
	siblings.Confidence = &quotaadmin.Confidence{Siblings: 3}
	least.Confidence = &quotaadmin.Confidence{}
	gate := unknown()
	gate.App, gate.Limit, gate.State, gate.Rate = "app-1", "backoff", "open", 1.666
	return []quotaadmin.Quota{sure, siblings, least, gate}
}

func TestLearnedTable(t *testing.T) {
	golden(t, "learned.txt", Status{Listing: quotaadmin.Listing{Quotas: learned(), Matched: 4}}.WriteTable)
	x := Explanation{Scope: client.Scope{API: "linkedin", App: "app-1"}}
	for _, q := range learned() {
		x.Buckets = append(x.Buckets, quotaadmin.Bucket{Quota: q})
	}
	golden(t, "learned-explained.txt", x.WriteText)
}

func TestStatusTable(t *testing.T) {
	lasting := day()
	lasting.App, lasting.Others, lasting.EndsAfter = "", 0, nil
	lasting.Window, lasting.FoundWindow, lasting.FoundConfidence = "", "{refill: 105ms, burst: 100}", 0.87
	s := Status{
		Listing: quotaadmin.Listing{
			Quotas: []quotaadmin.Quota{cooling(), day(), lasting, unknown()}, Matched: 1_000_003,
			Totals: []quotaadmin.Total{
				{API: "linkedin", Limit: "app-day", Unit: "requests", Buckets: 2, Used: 100_020, Others: 120, Outstanding: 20},
				{API: "linkedin", Limit: "member-day", Unit: "tokens", Buckets: 1_000_000, Spent: 12, Closed: 1, Used: 5_000_000, Waiting: 3},
			},
		},
		Scores: []quotaadmin.Score{{
			API: "github", KeptFor: of(26 * time.Hour), Advice: "not safe yet: because",
			Counts: quotaadmin.Counts{GrantedTaken: 1, GrantedRefused: 2, HeldTaken: 3, HeldRefused: 4, HeldAtTurn: 5},
			Limits: []quotaadmin.LimitScore{
				{Limit: "app", Counts: quotaadmin.Counts{GrantedTaken: 1, HeldTaken: 3, HeldRefused: 4, HeldAtTurn: 5}},
				{Counts: quotaadmin.Counts{GrantedRefused: 2}},
			},
		}},
	}
	golden(t, "status.txt", s.WriteTable)
	golden(t, "status.json", func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(s)
	})
	golden(t, "empty.txt", Status{}.WriteTable)
}

func TestExplanationText(t *testing.T) {
	x := Explanation{Scope: client.Scope{API: "linkedin", App: "app-1", User: "u 7", Endpoint: "GET /v2/connections"}}
	x.Shadow = true
	x.Denied = &quotaadmin.Denial{Reason: "COOLING_DOWN", Limit: "member-day", Bucket: `linkedin/app-1 user="u 7"`, RetryAfter: of(59 * time.Second)}
	x.Buckets = []quotaadmin.Bucket{
		{
			Quota: day(),
			Model: quotaadmin.Model{
				Confirmed: 50_020, ConfirmedAgo: of(1200 * time.Millisecond), Uncovered: 20, Counted: 49_880, Held: 10,
				BeganAgo: of(14*time.Hour + 20*time.Minute), EndsAfterLeast: of(9*time.Hour + 39*time.Minute), EndsAfterMost: of(9*time.Hour + 40*time.Minute),
				Pad: of(1500 * time.Millisecond), Doubtful: true,
			},
			Evidence: []quotaadmin.Evidence{
				{HeardAgo: of(1200 * time.Millisecond), GrantedAgo: of(2 * time.Second), Caller: "importer", Verdict: "passed", Quota: 100_000, Remaining: 50_020,
					ResetAfterLeast: of(9 * time.Hour), ResetAfterMost: of(9 * time.Hour), Effect: "believed"},
				{HeardAgo: of(time.Minute), GrantedAgo: of(time.Minute), Verdict: "refused", Remaining: -1, Effect: "of an earlier window: its numbers are ignored"},
			},
		},
		{
			Quota: cooling(), Model: quotaadmin.Model{Confirmed: -1, Counted: 500, Sliding: true},
			Ahead: []quotaadmin.Waiter{{Caller: "web", Priority: "high", Waited: of(2 * time.Second)}, {Priority: "normal", Waited: of(0)}}, AheadCount: 9,
		},
		{Quota: unknown(), Model: quotaadmin.Model{Confirmed: -1, Gate: true}},
	}
	golden(t, "denied.txt", x.WriteText)
	x.Denied, x.Buckets = nil, []quotaadmin.Bucket{{Quota: unknown(), Model: quotaadmin.Model{Confirmed: -1, BeganAgo: of(time.Second)}}}
	golden(t, "granted.txt", x.WriteText)
	x.Denied, x.Buckets = &quotaadmin.Denial{Reason: "COST_TOO_LARGE", Limit: "app", Bucket: "linkedin/app-1"}, nil
	golden(t, "toolarge.txt", x.WriteText)
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                     "0s",
		40 * time.Millisecond:                 "0s",
		1250 * time.Millisecond:               "1.3s",
		9990 * time.Millisecond:               "10s",
		59600 * time.Millisecond:              "1m",
		90 * time.Second:                      "1m30s",
		time.Hour:                             "1h",
		time.Hour + 59*time.Second:            "1h1m",
		25 * time.Hour:                        "1d1h",
		31 * 24 * time.Hour:                   "31d",
		23*time.Hour + 59*time.Minute + 40e9:  "24h",
		2*24*time.Hour + 29*time.Minute + 1e9: "2d",
	} {
		if got := span(of(d)); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
	if got := span(nil); got != none {
		t.Errorf("nil: got %q", got)
	}
}
