package strategy

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
	"github.com/quotabroker/quotabroker/server/simulate/agenda"
)

// waiting is what a strategy that sends at once does with what was refused: it
// sends it again later.
type waiting struct {
	env   simulate.Env
	later agenda.Agenda[*simulate.Job]
	// pause is how long to wait after a refusal; tries counts those of the job.
	pause func(now time.Time, r simulate.Reply, tries int) time.Duration
	tries map[*simulate.Job]int
}

func newWaiting(env simulate.Env, pause func(time.Time, simulate.Reply, int) time.Duration) *waiting {
	return &waiting{env: env, pause: pause, tries: map[*simulate.Job]int{}}
}

// Want sends at once.
func (w *waiting) Want(_ time.Time, j *simulate.Job) { w.env.Send(j) }

// Heard waits after a refusal.
func (w *waiting) Heard(now time.Time, j *simulate.Job, r simulate.Reply) {
	if !refused(r) {
		delete(w.tries, j)
		return
	}
	w.tries[j]++
	w.later.Add(now.Add(w.pause(now, r, w.tries[j])), j)
}

// Dropped forgets the job: its caller has given it up.
func (w *waiting) Dropped(_ time.Time, j *simulate.Job) { delete(w.tries, j) }

// Advance sends again what has waited for long enough.
func (w *waiting) Advance(now time.Time) {
	for j, due := w.later.Take(now); due; j, due = w.later.Take(now) {
		if overdue(now, j) {
			delete(w.tries, j)
			continue
		}
		w.env.Send(j)
	}
}

// Wake is when the next job has waited for long enough.
func (w *waiting) Wake(time.Time) time.Time { return w.later.Next() }

// overdue reports whether a job's caller has given up.
func overdue(now time.Time, j *simulate.Job) bool {
	return !j.Deadline.IsZero() && !now.Before(j.Deadline)
}

// refused reports whether the caller was told to come again later.
func refused(r simulate.Reply) bool { return !r.Served() }

// The numbers of the guide's example.
const (
	guideTries   = 5
	guideDefault = 60 * time.Second
)

// newGuide is the back-off that guides to LinkedIn's API print: wait what
// X-RateLimit-Reset says, 60 s if it says nothing, doubled with each of five tries;
// then the caller begins again.
func newGuide(env simulate.Env) (simulate.Strategy, error) {
	return newWaiting(env, func(now time.Time, r simulate.Reply, tries int) time.Duration {
		return guideReset(now, r) << ((tries - 1) % guideTries)
	}), nil
}

// guideReset is the seconds that the example reads. It was written for seconds:
// where the upstream tells an instant, whoever uses it sees so on the first day.
func guideReset(now time.Time, r simulate.Reply) time.Duration {
	const instants = 1_000_000_000
	s, err := strconv.ParseInt(strings.TrimSpace(r.Value("X-RateLimit-Reset")), 10, 64)
	switch {
	case err != nil || s < 0:
		return guideDefault
	case s >= instants:
		return max(0, time.Unix(s, 0).Sub(now))
	}
	return time.Duration(s) * time.Second
}

// The numbers of the full-jitter back-off.
const (
	jitterBase = time.Second
	jitterMost = time.Minute
)

// newJitter is exponential back-off with full jitter: anything between nothing
// and 1, 2, 4 … 60 s, after what Retry-After asks for.
func newJitter(env simulate.Env) (simulate.Strategy, error) {
	return newWaiting(env, func(now time.Time, r simulate.Reply, tries int) time.Duration {
		return retryAfter(now, r) + fullJitter(env.Rand, tries)
	}), nil
}

// fullJitter is anything between nothing and the exponential back-off.
func fullJitter(random *rand.Rand, tries int) time.Duration {
	most := min(jitterBase<<min(tries-1, 16), jitterMost)
	return time.Duration(random.Int64N(int64(most)))
}

// retryAfter is what the upstream asks to be left alone for, in seconds or until
// an instant; 0 when it does not ask.
func retryAfter(now time.Time, r simulate.Reply) time.Duration {
	text := strings.TrimSpace(r.Value("Retry-After"))
	if s, err := strconv.ParseInt(text, 10, 32); err == nil {
		return time.Duration(max(0, s)) * time.Second
	}
	if t, err := time.Parse(time.RFC1123, text); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
