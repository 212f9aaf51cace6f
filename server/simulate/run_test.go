package simulate

import (
	"slices"
	"testing"
	"time"
)

// eager sends every call at once, and again a second after a refusal.
type eager struct {
	env   Env
	later []*Job
	wake  time.Time
}

func newEager(e Env) (Strategy, error) { return &eager{env: e}, nil }

func (s *eager) Want(_ time.Time, j *Job) { s.env.Send(j) }
func (s *eager) Dropped(time.Time, *Job)  {}
func (s *eager) Wake(time.Time) time.Time { return s.wake }
func (s *eager) Heard(now time.Time, j *Job, r Reply) {
	if r.Served() {
		return
	}
	if s.later = append(s.later, j); s.wake.IsZero() {
		s.wake = now.Add(time.Second)
	}
}

func (s *eager) Advance(time.Time) {
	jobs := s.later
	s.later, s.wake = nil, time.Time{}
	for _, j := range jobs {
		s.env.Send(j)
	}
}

// doubler sends every call at once, and again after each refusal, at twice as long
// a distance each time.
type doubler struct {
	env   Env
	later map[int64][]*Job // by the second
	wakes []int64
}

func newDoubler(e Env) (Strategy, error) { return &doubler{env: e, later: make(map[int64][]*Job)}, nil }

func (s *doubler) Want(_ time.Time, j *Job) { s.env.Send(j) }
func (s *doubler) Dropped(time.Time, *Job)  {}
func (s *doubler) Heard(now time.Time, j *Job, r Reply) {
	if r.Served() {
		return
	}
	at := now.Unix() + 1<<min(j.Sent, 12)
	if s.later[at] == nil {
		i, _ := slices.BinarySearch(s.wakes, at)
		s.wakes = slices.Insert(s.wakes, i, at)
	}
	s.later[at] = append(s.later[at], j)
}

func (s *doubler) Wake(time.Time) time.Time {
	if len(s.wakes) == 0 {
		return time.Time{}
	}
	return time.Unix(s.wakes[0], 0)
}

func (s *doubler) Advance(time.Time) {
	at := s.wakes[0]
	s.wakes = s.wakes[1:]
	jobs := s.later[at]
	delete(s.later, at)
	for _, j := range jobs {
		s.env.Send(j)
	}
}

func saturating() *Scenario {
	return &Scenario{
		Name: "saturating", Start: t0, Duration: 100 * time.Second,
		Upstream: API{
			Limits: []Limit{
				{Name: "app", Quota: 200, Window: Shape{Fixed: 10 * time.Second}},
				{Name: "member", Per: []string{"user"}, Quota: 40, Window: Shape{Fixed: 10 * time.Second, From: FirstUse}},
			},
			Latency: Latency{
				Request: Spread{Min: 5 * time.Millisecond, Typical: 20 * time.Millisecond, Sigma: 0.6},
				Answer:  Spread{Min: 5 * time.Millisecond, Typical: 20 * time.Millisecond, Sigma: 0.6},
			},
		},
		Fleet: Fleet{
			Services: []Service{{Name: "importer", Count: 8, Workers: 4}},
			Users:    Users{Count: 12},
		},
	}
}

func play(t *testing.T, s *Scenario, seed uint64, n NewStrategy) *Result {
	t.Helper()
	r, err := Run(s, seed, n)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRunSaturating(t *testing.T) {
	r := play(t, saturating(), 1, newEager)
	if r.Refused == 0 || r.Refused+r.Served+32 < r.Sent || r.Served < 1900 || r.Served > 2200 {
		t.Errorf("eager: %+v", *r)
	}
	used, ok := r.Used(0, "app")
	if !ok || used != 1 {
		t.Errorf("eager used %v of the application's quota, %v", used, ok)
	}
	r = play(t, saturating(), 1, newSeer)
	if used, ok = r.Used(0, "app"); !ok || used < 0.99 || r.Refused != 0 {
		t.Errorf("the seer used %v, %v, and was refused %d times", used, ok, r.Refused)
	}
}

func TestRunIsDeterministic(t *testing.T) {
	for seed := range uint64(5) {
		a, b := play(t, saturating(), seed, newEager), play(t, saturating(), seed, newEager)
		if a.Hash != b.Hash || a.Fairness != b.Fairness || a.WaitP99 != b.WaitP99 {
			t.Errorf("seed %d: %x and %x", seed, a.Hash, b.Hash)
		}
		if c := play(t, saturating(), seed+100, newEager); c.Hash == a.Hash {
			t.Errorf("seeds %d and %d are the same run", seed, seed+100)
		}
	}
}
