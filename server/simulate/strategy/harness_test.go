package strategy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
)

// t0 is 3 s after a multiple of 10 s.
var t0 = time.Unix(1_700_000_003, 0).UTC()

func at(seconds float64) time.Time { return t0.Add(time.Duration(seconds * float64(time.Second))) }

// desk is what a strategy under test sends to.
type desk struct {
	t *testing.T
	simulate.Strategy
	now  time.Time
	sent []string
	jobs map[string]*simulate.Job
	// strict refuses a wake in the past.
	ids int64
}

// newDesk makes a strategy of that name for these limits and two services.
func newDesk(t *testing.T, name string, limits ...simulate.Limit) *desk {
	t.Helper()
	chosen, err := Named(name)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, now: t0, jobs: map[string]*simulate.Job{}}
	d.Strategy, err = chosen[0].New(simulate.Env{
		Scenario: &simulate.Scenario{
			Start: t0, Upstream: simulate.API{Limits: limits},
			Fleet: simulate.Fleet{Services: []simulate.Service{{Name: "s", Count: 2}}},
		},
		Rand: rand.New(rand.NewPCG(1, 2)),
		Send: d.send,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) send(j *simulate.Job) {
	for name, o := range d.jobs {
		if o == j {
			d.sent = append(d.sent, fmt.Sprintf("%s@%s", name, strconv.FormatFloat(d.now.Sub(t0).Seconds(), 'f', -1, 64)))
		}
	}
}

// want has a service want a call for a user at a second.
func (d *desk) want(seconds float64, name string, service int, user string) {
	d.until(seconds)
	d.ids++
	j := &simulate.Job{ID: d.ids, Service: service, Call: simulate.Call{App: "a", User: user}, Cost: 1, Wanted: d.now}
	d.jobs[name] = j
	d.Want(d.now, j)
}

// answer has a call answered at a second.
func (d *desk) answer(seconds float64, name string, status int, headers ...string) {
	d.until(seconds)
	r := simulate.Reply{Answer: simulate.Answer{Status: status}, Received: d.now}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Headers = append(r.Headers, simulate.Header{Name: name, Value: value})
	}
	d.Heard(d.now, d.jobs[name], r)
}

// until lets time act until a second.
func (d *desk) until(seconds float64) {
	for range 1000 {
		wake := d.Wake(d.now)
		if wake.IsZero() || wake.After(at(seconds)) {
			d.now = at(seconds)
			return
		}
		if wake.After(d.now) {
			d.now = wake
		}
		d.Advance(d.now)
	}
	d.t.Fatalf("it wants to be woken again and again at %v", d.now.Sub(t0))
}

// wantSent checks what was sent, and when, and forgets it.
func (d *desk) wantSent(want ...string) {
	d.t.Helper()
	if !slices.Equal(d.sent, want) {
		d.t.Errorf("sent %q, want %q", d.sent, want)
	}
	d.sent = nil
}

func limit(quota int64, window simulate.Shape, per ...string) simulate.Limit {
	return simulate.Limit{Name: strings.Join(append(per, "limit"), "-"), Per: append(per, "app"), Quota: quota, Window: window}
}
