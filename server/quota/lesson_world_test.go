package quota

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// An upstream that tells nothing, users enough, calls that are lost: a bucket
// counts no more than was learned but for its tries, no window teaches that was
// not watched, and nobody learns more than there is.
func TestLessonsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const users, days, each = 3, 4, 12
		app, user := rapid.Int64Range(5, 40).Draw(t, "app"), rapid.Int64Range(1, 12).Draw(t, "user")
		f := faults{slowSend: time.Second, slowReport: 4 * time.Second}
		f.dieBefore = rapid.SampledFrom([]float64{0, 0.1}).Draw(t, "die before")
		f.dieAfter = rapid.SampledFrom([]float64{0, 0.1}).Draw(t, "die after")
		w := bareWorld(rapid.Uint64().Draw(t, "seed"), epoch.Truncate(day).Add(23*time.Hour), app, user, f)
		w.want("u0", 1)
		w.check = func() {
			for b := range w.ledger.all {
				checkLesson(t, b, app, user)
			}
		}
		w.daysOf(days, users, each)
	})
}

func checkLesson(t *rapid.T, b *Bucket, app, user int64) {
	s := b.lesson
	if s == nil || b.provenance != Learned {
		return
	}
	most := app
	if b.rule.Per.User {
		most = user
	}
	if b.quota > most {
		t.Fatalf("%s learned %d, and there are %d", b.Name(), b.quota, most)
	}
	if !s.watched && s.confirmed > 0 && s.confirmedAt >= b.turned {
		t.Fatalf("%s learned of a window that was not watched", b.Name())
	}
	over := b.n - s.early + b.o - b.quota
	if over == 1 && b.tally.Probes > 0 {
		return // one asked whether those were counted that lapsed, and were heard of later
	}
	if over > 0 && !s.beyond && b.tm < b.turned {
		t.Fatalf("%s has %d more than the %d that it learned, and did not try", b.Name(), over, b.quota)
	}
}

// On the first day that is watched the first few buckets that are spent see a
// refusal, until they have learned the same; then hardly any does, and all of the
// quotas is used.
func TestLearnsAFleetsQuotas(t *testing.T) {
	long(t)
	const users, quota = 200, 40
	w := bareWorld(3, epoch.Truncate(day).Add(23*time.Hour), 100_000, quota, faults{})
	w.want("u0", 1) // the first day is seen only in part
	refused, counted := w.daysOf(4, users, 60)
	t.Log(refused, counted)
	if refused[1] > 2*agreeing || refused[2]+refused[3] > 2*users/100 {
		t.Errorf("refused %v of %d users", refused, users)
	}
	for _, n := range counted[1:] {
		if n < users*quota*99/100 {
			t.Errorf("used %v of %d", counted, users*quota)
		}
	}
}

const day = 24 * time.Hour

// bareWorld is an upstream that tells nothing but which limit it refuses for: so
// much a day for the application, and for each user.
func bareWorld(seed uint64, start time.Time, app, user int64, f faults) *world {
	utc := Window{Kind: Calendar, Unit: Day}
	rules := &Rules{API: "api", SendWithin: 2 * time.Second, Limits: []Limit{
		{Name: "app-day", Window: utc}, {Name: "member-day", Per: Parts{User: true}, Window: utc},
	}}
	up := &upstream{bare: true, limits: []trueLimit{{quota: app, period: day}, {quota: user, period: day, perUser: true}}}
	f.rtt = 200 * time.Millisecond
	return newWorld(seed, start, up, rules, f)
}

// giveUp drops all demand: nobody waits any more.
func (w *world) giveUp() {
	clear(w.waiting)
	for user := range w.blocked {
		w.block(user, nil)
	}
}

// daysOf plays days of demand: each user wants so many calls a day, spread over
// it. It returns how many were refused and counted on each.
func (w *world) daysOf(days, users, each int) (refused, counted []int) {
	start := w.now.Truncate(day)
	for d := range days {
		begin := start.Add(time.Duration(d) * day)
		for u := range users * each {
			if at := begin.Add(time.Minute + w.upTo(20*time.Hour)); at.After(w.now) {
				w.after(at.Sub(w.now), func() { w.want(fmt.Sprint("u", u%users), 1) })
			}
		}
		r, c := w.up.refused, w.up.counted
		w.run(begin.Add(day - time.Minute))
		w.giveUp()
		refused, counted = append(refused, w.up.refused-r), append(counted, w.up.counted-c)
	}
	return refused, counted
}
