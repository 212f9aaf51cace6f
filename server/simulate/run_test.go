package simulate

import (
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

// seer knows what is left, and sends only that. It asks again every 10 ms.
type seer struct {
	env     Env
	waiting []*Job
	out     map[string]int64
	wake    time.Time
}

func newSeer(e Env) (Strategy, error) { return &seer{env: e, out: map[string]int64{}}, nil }

func (s *seer) Want(now time.Time, j *Job) {
	s.waiting = append(s.waiting, j)
	s.Advance(now)
}

func (s *seer) Dropped(now time.Time, j *Job) { s.Heard(now, j, Reply{}) }
func (s *seer) Wake(time.Time) time.Time      { return s.wake }

func (s *seer) Heard(now time.Time, j *Job, _ Reply) {
	for _, room := range s.env.Rooms(j.Call, now) {
		s.out[room.Limit+room.Key.User]--
	}
	s.Advance(now)
}

func (s *seer) Advance(now time.Time) {
	var still []*Job
	for _, j := range s.waiting {
		if s.free(now, j) {
			s.env.Send(j)
		} else {
			still = append(still, j)
		}
	}
	s.waiting, s.wake = still, time.Time{}
	if len(still) > 0 {
		s.wake = now.Add(10 * time.Millisecond)
	}
}

// free takes one unit of everything if the call finds room whenever it arrives:
// in a window that has it, and does not end meanwhile.
func (s *seer) free(now time.Time, j *Job) bool {
	rooms := s.env.Rooms(j.Call, now)
	for _, room := range rooms {
		if s.out[room.Limit+room.Key.User] >= room.Left {
			return false
		}
	}
	for _, room := range rooms {
		s.out[room.Limit+room.Key.User]++
	}
	return true
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
