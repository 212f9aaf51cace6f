package simulate

import (
	"strings"
	"testing"
	"time"
)

// TestArrivals holds that each call is wanted when it is due, by whom it is, and
// for as long as it is.
func TestArrivals(t *testing.T) {
	all, err := Parse("f.yaml", []byte(`name: n
duration: 10s
upstream:
  limits: [{name: app, quota: 5, unit: tokens, window: {fixed: 1m}}]
costs: {unit: tokens, estimate: 2}
fleet:
  services:
    - arrivals:
        - {at: 0s, endpoint: GET /a}
        - {at: 1s, user: u, endpoint: GET /b, cost: 3}
        - {at: 1s, app: other, endpoint: GET /b}
        - {at: 2s, endpoint: GET /a, patience: 3s}
        - {at: 11s, endpoint: GET /late}
`))
	if err != nil {
		t.Fatal(err)
	}
	s := all[0]
	s.Sample = time.Second
	var wanted []Job
	r := play(t, s, 1, func(e Env) (Strategy, error) {
		n, err := newEager(e)
		return watcher{n, &wanted}, err
	})
	if len(wanted) != 4 || r.Wanted != 4 || r.Served != 3 || r.GaveUp != 1 {
		t.Fatalf("%d wanted, %d served, %d gave up: %+v", r.Wanted, r.Served, r.GaveUp, wanted)
	}
	for i, want := range []Job{
		{Call: Call{"app", "", "GET /a"}, Cost: 2}, {Call: Call{"app", "u", "GET /b"}, Cost: 3},
		{Call: Call{"other", "", "GET /b"}, Cost: 2}, {Call: Call{"app", "", "GET /a"}, Cost: 2, Deadline: s.Start.Add(5 * time.Second)},
	} {
		if got := wanted[i]; got.Call != want.Call || got.Cost != want.Cost || !got.Deadline.Equal(want.Deadline) {
			t.Errorf("%d: got %+v, want %+v", i, got, want)
		}
	}
	if last := r.Timeline[len(r.Timeline)-1]; last.Levels[0].Counted != 2 {
		t.Errorf("the first arrival's bucket counted %d", last.Levels[0].Counted)
	}
	s.Fleet.Services[0].Arrivals[1].At = 3 * time.Second
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), `fleet.services[0].arrivals[2].at: "1s": must not be before`) {
		t.Errorf("got %v", err)
	}
}

// watcher notes what is wanted.
type watcher struct {
	Strategy
	wanted *[]Job
}

func (w watcher) Want(now time.Time, j *Job) {
	*w.wanted = append(*w.wanted, *j)
	w.Strategy.Want(now, j)
}

func TestSections(t *testing.T) {
	const file = "apis:\n  a:\n    limits: [{name: app, quota: 5}]\nupstream: {limits: [{name: l, quota: 5, window: {fixed: 1m}}]}\n"
	if got, err := Section("f", []byte(file), "apis", "a"); err != nil || string(got) != `{"limits": [{"name": app, "quota": 5}]}` {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := Section("f", []byte(file), "apis", "b", "c"); err != nil || got != nil {
		t.Errorf("got %s, %v", got, err)
	}
	if a, err := ParseUpstream("f", []byte(file)); err != nil || len(a.Limits) != 1 {
		t.Errorf("got %+v, %v", a, err)
	}
	for _, tt := range []struct{ text, want string }{
		{"a: 1\n", `f:1:1: upstream: is missing`},
		{strings.Replace(file, "quota: 5, window", "quota: 0, window", 1), `f:4:38: upstream.limits[0].quota: "0": must be from 1`},
	} {
		if _, err := ParseUpstream("f", []byte(tt.text)); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}
