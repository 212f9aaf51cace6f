package simulate

import (
	"testing"
	"time"
)

// nervous takes each call back half a second after it sent it, if it can, and
// sends it again at once.
type nervous struct {
	eager
	sent             []*Job
	recalled, missed int
}

func (s *nervous) Want(now time.Time, j *Job) {
	s.env.Send(j)
	s.sent = append(s.sent, j)
	s.wake = now.Add(500 * time.Millisecond)
}

func (s *nervous) Advance(time.Time) {
	for _, j := range s.sent {
		if !s.env.Recall(j) {
			s.missed++
			continue
		}
		s.recalled++
		s.env.Send(j)
	}
	s.sent, s.wake = nil, time.Time{}
}

func TestRecall(t *testing.T) {
	s := &Scenario{
		Name: "recall", Start: t0, Duration: 10 * time.Minute,
		Upstream: API{Latency: Latency{Request: Spread{Typical: time.Second}}},
		Fleet: Fleet{
			Services: []Service{{Name: "s", Rate: 2}},
			Faults:   Faults{Slow: Slow{Share: 1, UpTo: time.Second}, DieBefore: 0.1, Drop: 0.1},
		},
	}
	var n *nervous
	r, err := Run(s, 1, func(e Env) (Strategy, error) {
		n = &nervous{eager: eager{env: e}}
		return n, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n.recalled < 100 || n.missed < 100 {
		t.Errorf("%d recalled, %d too late: want many of both", n.recalled, n.missed)
	}
	// What was recalled was not sent, each call arrives once, and callers that died
	// come back for theirs.
	if r.Sent > r.Wanted+r.Lost || r.Served > r.Wanted-r.Dropped || r.Served < r.Wanted/2 {
		t.Errorf("%d wanted, %d sent, %d served", r.Wanted, r.Sent, r.Served)
	}
}

// keeper lets a call enter every second.
type keeper struct {
	eager
	line []*Job
}

func (k *keeper) Admit(now time.Time, j *Job) bool {
	if k.line = append(k.line, j); k.wake.IsZero() {
		k.wake = now.Add(time.Second)
	}
	return false
}

func (k *keeper) Advance(now time.Time) {
	k.env.Enter(k.line[0])
	k.line, k.wake = k.line[1:], time.Time{}
	if len(k.line) > 0 {
		k.wake = now.Add(time.Second)
	}
}

func TestDoorkeeper(t *testing.T) {
	s := &Scenario{
		Name: "door", Start: t0, Duration: time.Minute,
		Upstream: API{
			Limits:  []Limit{{Name: "app", Per: []string{"app"}, Quota: 10, Window: Shape{Fixed: 10 * time.Second}}},
			Latency: Latency{Request: Spread{Typical: 100 * time.Millisecond}},
		},
		Fleet: Fleet{Services: []Service{{Name: "s", Workers: 30}}},
	}
	r, err := Run(s, 1, func(e Env) (Strategy, error) { return &keeper{eager: eager{env: e}}, nil })
	if err != nil {
		t.Fatal(err)
	}
	if r.Served != 59 || r.Refused != 0 {
		t.Errorf("%d served and %d refused, want one a second and none", r.Served, r.Refused)
	}
	_, err = Run(s, 1, func(e Env) (Strategy, error) { return &intruder{eager: eager{env: e}}, nil })
	if err == nil {
		t.Error("a call entered that does not stand at the door")
	}
}

// intruder has calls enter that were never sent.
type intruder struct{ eager }

func (s *intruder) Want(_ time.Time, j *Job) { s.env.Enter(j) }
