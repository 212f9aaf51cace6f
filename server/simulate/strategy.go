package simulate

import (
	"math/rand/v2"
	"time"
)

// Job is one call that a service of the fleet wants to make. It is its
// strategy's until it was served, given back or lost; see [Strategy].
type Job struct {
	// ID counts from 1, in the order in which calls were wanted.
	ID int64
	// Service is the index of the service's instance that wants it. Strategies
	// without a place that knows everything keep their state by that.
	Service int
	Call    Call
	// Cost is what its caller estimates it to take, in the scenario's unit; 1
	// unless the scenario says otherwise. The upstream knows the true cost.
	Cost int64
	// Wanted is when the demand arose, Deadline when its caller gives up; zero is
	// never. A job that is sent after that is dropped at once.
	Wanted, Deadline time.Time
	// Sent is how often it was sent.
	Sent int
	// Probe is set by a strategy that sends the call to find something out. A
	// refused probe is counted apart.
	Probe bool

	state jobState
	// try tells the events of one sending from those of another.
	try     uint32
	source  *source
	demand  demand
	buckets []*bucket
	// truth is the cost in fact, free whether it turns out to cost nothing.
	truth int64
	free  bool
	fate  fate
	sent  time.Time
	reply Reply
}

// Reply is what the caller saw of a call that was sent.
type Reply struct {
	Answer
	// Sent and Received are by the caller's clock.
	Sent, Received time.Time
}

// Strategy decides when calls are sent. A run calls it from one goroutine in
// virtual time: now never goes back. Of each job it hears Want first, then, for
// each time that it sent it, Heard or Dropped, or nothing at all where a report
// was lost or a caller died.
type Strategy interface {
	// Want says that a job is ready; send it now or later, by [Env.Send].
	Want(now time.Time, j *Job)
	// Heard says what came back. A job that was not served ([Answer.Served]) is
	// the strategy's again, to send later or never.
	Heard(now time.Time, j *Job, r Reply)
	// Dropped says that the caller gave its right to send back, or had given up
	// before: nothing was sent, and the job is over.
	Dropped(now time.Time, j *Job)
	// Advance lets time act.
	Advance(now time.Time)
	// Wake is when Advance would act next; zero for never. It is asked after each
	// of the other methods.
	Wake(now time.Time) time.Time
}

// Believer is a [Strategy] that says what it believes, for a timeline.
type Believer interface {
	// Believes is what it would still send now for all it knows of the bucket of a
	// limit that counts such calls; ok is false when it holds no such belief. It
	// must change nothing.
	Believes(now time.Time, l *Limit, c Call) (left int64, ok bool)
}

// Doorkeeper is a [Strategy] that sends each call so that it arrives when there is
// room for it: it is asked when the call arrives, and where it says no, the call
// stands at the door until [Env.Enter], as if it had been sent so much later. That
// is the clairvoyant's.
type Doorkeeper interface {
	// Admit reports whether the call enters now.
	Admit(now time.Time, j *Job) bool
}

// Env is what a strategy is given for a run.
type Env struct {
	// Scenario is the truth, for strategies that are given the true limits; its
	// Start is this run's. It must not be changed.
	Scenario *Scenario
	// Rand is the strategy's own stream.
	Rand *rand.Rand
	// Send sends a job that is the strategy's. Called with any other it ends the
	// run with an error.
	Send func(*Job)
	// Recall takes back a job that was sent and has not left its caller yet, who is
	// slow. It reports false, and changes nothing, when it is too late, or the caller
	// dead or about to give it back.
	Recall func(*Job) bool
	// Enter lets a job enter that a [Doorkeeper] has not admitted; nothing comes of
	// one whose caller has given up.
	Enter func(*Job)
	// Rooms are the buckets that count a call, as they would stand at an instant
	// from now on if nothing else arrived until then, for the clairvoyant.
	Rooms func(c Call, at time.Time) []Room
	// Cost is what a job truly costs, for the clairvoyant; 0 when it turns out to
	// cost nothing.
	Cost func(*Job) int64
}

// Room is what a bucket has.
type Room struct {
	// Limit is the limit's name, Key whose calls the bucket counts.
	Limit string
	Key   Call
	// Left is the units that are left.
	Left int64
	// Until is when the bucket has more again; of a fixed window when it ends.
	Until time.Time
}

// NewStrategy makes a strategy for one run.
type NewStrategy func(Env) (Strategy, error)

// fate is what becomes of a call that is sent.
type fate struct {
	// diesBefore says that its caller dies before it sends anything, diesAfter
	// that it does so after, drops that it gives its right to send back, and
	// unreported that what came back is not reported.
	diesBefore, diesAfter, drops, unreported bool
	// wait is until it is really sent, given back, or its caller has died.
	wait time.Duration
	// request, work and answer are the parts of the round trip.
	request, work, answer time.Duration
}
