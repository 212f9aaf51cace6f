package simulate

import (
	"fmt"
	"testing"
	"time"
)

// t0 is no multiple of any window's length but a second's.
var t0 = time.Unix(1_000_003, 0)

// step is a call after a time, and what must come of it.
type step struct {
	at   string
	user string
	// want is the status and the three headers, "200 10 9 7".
	want string
}

func serveAll(t *testing.T, u *Upstream, steps []step) {
	t.Helper()
	for i, s := range steps {
		answer := u.Serve(at(t, s.at), Request{Call: Call{App: "a", User: s.user, Endpoint: "GET /x"}})
		got := fmt.Sprint(answer.Status)
		for _, h := range answer.Headers {
			got += " " + h.Value
		}
		if got != s.want {
			t.Errorf("step %d at %s: got %q, want %q", i, s.at, got, s.want)
		}
	}
}

func at(t *testing.T, after string) time.Time {
	t.Helper()
	d, err := time.ParseDuration(after)
	if err != nil {
		t.Fatal(err)
	}
	return t0.Add(d)
}

func newUpstream(t *testing.T, round Rounding, limits ...Limit) *Upstream {
	t.Helper()
	u, err := NewUpstream(API{Limits: limits, Headers: Headers{Round: round}}, t0, 1)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestServe(t *testing.T) {
	app := Limit{Name: "app", Quota: 3, Window: Shape{Fixed: 10 * time.Second}}
	member := Limit{Name: "member", Per: []string{"user"}, Quota: 2, Window: Shape{Fixed: 4 * time.Second}}
	for _, tt := range []struct {
		name   string
		limits []Limit
		steps  []step
	}{
		// t0 lies 3 s after a multiple of 10 s.
		{"aligned", []Limit{app}, []step{
			{"0s", "u", "200 3 2 7"},
			{"1s", "u", "200 3 1 6"},
			{"1.001s", "u", "200 3 0 6"},
			{"2s", "u", "429 3 0 5"},
			{"6.999s", "u", "429 3 0 1"},
			{"7s", "u", "200 3 2 10"},
			{"29s", "u", "200 3 2 8"},
		}},
		{"aligned to a phase", []Limit{with(app, func(l *Limit) { l.Window.Phase = 1_000_001 * time.Second })}, []step{
			{"0s", "u", "200 3 2 8"},
			{"8s", "u", "200 3 2 10"},
		}},
		{"a phase in the future", []Limit{with(app, func(l *Limit) { l.Window.Phase = 1_000_005 * time.Second })}, []step{
			{"0s", "u", "200 3 2 2"},
			{"2s", "u", "200 3 2 10"},
		}},
		{"begins at first use", []Limit{with(app, func(l *Limit) { l.Window.From = FirstUse })}, []step{
			{"0s", "u", "200 3 2 10"},
			{"9.999s", "u", "200 3 1 1"},
			{"13s", "u", "200 3 2 10"},
			{"22.5s", "u", "200 3 1 1"},
			{"23s", "u", "200 3 2 10"},
		}},
		{"a refused call does not begin a window", []Limit{
			with(app, func(l *Limit) { l.Quota = 1 }),
			with(member, func(l *Limit) { l.Window.From = FirstUse }),
		}, []step{
			{"0s", "u", "200 1 0 7"},
			{"6s", "v", "429 1 0 1"},
			{"7s", "v", "200 1 0 10"},
			{"17s", "v", "200 1 0 10"},
		}},
		{"users apart", []Limit{member}, []step{
			{"0s", "u", "200 2 1 1"},
			{"0s", "u", "200 2 0 1"},
			{"0s", "u", "429 2 0 1"},
			{"0s", "v", "200 2 1 1"},
			{"0s", "", "200"},
		}},
		{"headers of the quota closer to its end", []Limit{app, member}, []step{
			{"1s", "u", "200 2 1 4"}, // 2/3 of the app's, 1/2 of the member's
			{"1s", "u", "200 2 0 4"},
			{"1s", "u", "429 2 0 4"},
			{"1s", "v", "200 3 0 6"}, // nothing of the app's
			{"1s", "u", "429 3 0 6"}, // both: the later reset
		}},
		{"all or none", []Limit{app, with(member, func(l *Limit) { l.Quota = 1 })}, []step{
			{"1s", "u", "200 1 0 4"},
			{"1s", "u", "429 1 0 4"},
			{"1s", "v", "200 1 0 4"},
			{"1s", "", "200 3 0 6"}, // the refusal took none of the app's three
		}},
		{"no limits", nil, []step{{"0s", "u", "200"}}},
	} {
		t.Run(tt.name, func(t *testing.T) { serveAll(t, newUpstream(t, Up, tt.limits...), tt.steps) })
	}
}

func with(l Limit, change func(*Limit)) Limit {
	change(&l)
	return l
}

func TestEndpointsApart(t *testing.T) {
	u := newUpstream(t, Up, Limit{Name: "endpoint", Per: []string{"endpoint"}, Quota: 1, Window: Shape{Fixed: time.Hour}})
	for _, tt := range []struct {
		app, endpoint string
		want          int
	}{
		{"a", "GET /x", 200}, {"a", "GET /x", 429}, {"a", "GET /y", 200}, {"b", "GET /x", 200},
	} {
		if got := u.Serve(t0, Request{Call: Call{App: tt.app, User: "u", Endpoint: tt.endpoint}}).Status; got != tt.want {
			t.Errorf("%s %s: got %d, want %d", tt.app, tt.endpoint, got, tt.want)
		}
	}
}

func TestRounding(t *testing.T) {
	for _, tt := range []struct {
		left              time.Duration
		up, down, nearest int64
	}{
		{0, 0, 0, 0},
		{time.Nanosecond, 1, 0, 0},
		{499 * time.Millisecond, 1, 0, 0},
		{500 * time.Millisecond, 1, 0, 1},
		{time.Second, 1, 1, 1},
		{1400 * time.Millisecond, 2, 1, 1},
	} {
		up, down, nearest := Up.seconds(tt.left), Down.seconds(tt.left), Nearest.seconds(tt.left)
		if up != tt.up || down != tt.down || nearest != tt.nearest {
			t.Errorf("%v: up %d, down %d, nearest %d; want %d, %d, %d",
				tt.left, up, down, nearest, tt.up, tt.down, tt.nearest)
		}
	}
}

// A call takes what it weighs by its endpoint, of limits that count requests; what
// others take is one.
func TestWeights(t *testing.T) {
	u := newUpstream(t, Up, Limit{Name: "app", Quota: 10, Window: Shape{Fixed: time.Minute}, Weights: map[string]int64{"GET /heavy": 4}})
	for i, want := range []struct {
		endpoint string
		foreign  bool
		status   int64
		left     int64
	}{
		{"GET /heavy", false, StatusOK, 6},
		{"GET /light", false, StatusOK, 5},
		{"", true, StatusOK, 4},
		{"GET /heavy", false, StatusOK, 0},
		{"GET /light", false, StatusTooManyRequests, 0},
	} {
		a := u.Serve(t0, Request{Call: Call{App: "a", Endpoint: want.endpoint}, Foreign: want.foreign})
		if left := u.rooms(Call{App: "a"}, t0)[0].Left; int64(a.Status) != want.status || left != want.left {
			t.Errorf("call %d: %d and %d left, want %d and %d", i, a.Status, left, want.status, want.left)
		}
	}
}
