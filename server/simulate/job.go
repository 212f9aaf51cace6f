package simulate

import (
	"cmp"
	"fmt"
	"math"
	"time"
)

// want is a source's next call, or its next batch.
func (r *run) want(s *source) {
	if len(s.due) > 0 {
		r.due(s)
		return
	}
	n := int64(1)
	switch b := s.service.Batch; {
	case b.Calls > 0:
		n = b.Calls
		if b.Every > 0 {
			r.after(b.Every, event{what: wants, source: s})
		}
	case s.service.Workers == 0:
		r.after(s.gap(time.Duration(r.now-r.up.start)), event{what: wants, source: s})
	}
	for range n {
		r.wantOne(s, demand{call: s.call()})
	}
}

// due is a source's arrivals of this instant.
func (r *run) due(s *source) {
	since := time.Duration(r.now - r.up.start)
	for len(s.due) > 0 && s.due[0].At <= since {
		a := &s.due[0]
		s.due = s.due[1:]
		c := Call{App: cmp.Or(a.App, s.who.app), User: a.User, Endpoint: a.Endpoint}
		r.wantOne(s, demand{c, a.Cost, a.Patience})
	}
	if len(s.due) > 0 {
		r.after(s.due[0].At-since, event{what: wants, source: s})
	}
}

// demand is a call that is wanted: cost is 0 where the scenario's costs say it,
// patience where the fleet's does.
type demand struct {
	call     Call
	cost     int64
	patience time.Duration
}

func (r *run) wantOne(s *source, d demand) {
	r.wanted++
	r.of(d.call.User).wanted++
	r.handOver(s, d, r.time)
}

// handOver makes a job of a call that is wanted since then, and the strategy's.
func (r *run) handOver(s *source, d demand, since time.Time) {
	r.jobs++
	j := &Job{ID: r.jobs, Service: s.index, Call: d.call, Wanted: since, source: s, demand: d}
	j.buckets = r.bucketsOf(s.who, d.call)
	j.Cost, j.truth, j.free = r.scenario.Costs.of(s, d.call)
	if d.cost > 0 {
		j.Cost, j.truth = d.cost, d.cost
	}
	if p := cmp.Or(d.patience, r.scenario.Fleet.Patience); p > 0 {
		j.Deadline = since.Add(p)
		r.after(max(0, j.Deadline.Sub(r.time)), event{what: leaves, job: j})
	}
	r.hold(j, 1)
	r.strategy.Want(r.time, j)
	r.heed()
}

// bucketsOf keeps what it finds: a call of the same user comes again.
func (r *run) bucketsOf(who *crowd, c Call) []*bucket {
	buckets, ok := who.calls[c]
	if !ok {
		buckets = r.up.bucketsOf(r.now, c, nil)
		who.calls[c] = buckets
	}
	return buckets
}

// of is what a call is thought to cost, what it does, and whether it turns out
// to cost nothing.
func (c *Costs) of(s *source, call Call) (estimate, truth int64, free bool) {
	estimate = max(1, c.Estimate)
	if e, ok := c.Endpoints[call.Endpoint]; ok {
		estimate = e
	}
	truth = estimate
	if c.Sigma > 0 {
		truth = max(1, int64(math.Round(float64(estimate)*math.Exp(c.Sigma*s.random.NormFloat64()))))
	}
	if c.Most > 0 {
		truth = min(truth, c.Most)
	}
	return estimate, truth, c.Free > 0 && Share(s.random.Float64()) < c.Free
}

func trueCost(j *Job) int64 {
	if j.free {
		return 0
	}
	return j.truth
}

// hold books that the strategy has a job, or by -1 that it has sent it.
func (r *run) hold(j *Job, n int64) {
	r.up.change(r.now)
	for _, b := range j.buckets {
		b.turn(r.now)
		b.hold(r.now)
		if j.source.service.Workers > 0 {
			b.closed += n
		} else {
			b.open += n
		}
	}
}

func (r *run) fate(j *Job) fate {
	f := r.fates.of(j, r.scenario)
	for _, d := range r.scenario.Fleet.Faults.Dead {
		from := r.up.start + int64(d.From)
		if from <= r.now && r.now < from+int64(d.For) && (d.Service == "" || d.Service == j.source.service.Name) {
			f.diesBefore, f.drops = true, false
		}
	}
	return f
}

// send is the strategy's.
func (r *run) send(j *Job) {
	if j.state == gone {
		j.state = ended
		r.plan(0, drops, j)
		return
	}
	if j.state != held {
		r.err = fmt.Errorf("strategy: at %v it sends job %d, which is not its own: send each once, and again only after a refusal was heard", r.time, j.ID)
		return
	}
	r.hold(j, -1)
	j.state, j.fate = away, r.fate(j)
	j.try++
	j.Sent++
	r.sent++
	r.note(sentMark, j, 0)
	if j.fate.wait > 0 {
		r.up.fired.Slow++
	}
	j.sent = r.time.Add(j.fate.wait)
	switch {
	case j.fate.diesBefore:
		r.plan(j.fate.wait, dies, j)
	case j.fate.drops:
		r.plan(j.fate.wait, drops, j)
	default:
		r.plan(j.fate.wait+j.fate.request, arrives, j)
	}
}

// plan is for an event of this sending of a job alone.
func (r *run) plan(after time.Duration, what happening, j *Job) {
	r.after(after, event{what: what, job: j, try: j.try})
}

// recall is the strategy's.
func (r *run) recall(j *Job) bool {
	if j.state != away || !r.time.Before(j.sent) || j.fate.diesBefore || j.fate.drops {
		return false
	}
	j.try++
	r.sent--
	r.note(recallMark, j, 0)
	r.back(j)
	return true
}

// arrive is a call at the upstream's door.
func (r *run) arrive(j *Job) {
	if keeper, ok := r.strategy.(Doorkeeper); ok {
		admitted := keeper.Admit(r.time, j)
		if r.heed(); !admitted {
			j.state = atDoor
			r.hold(j, 1)
			return
		}
	}
	r.serve(j)
}

// enter is the strategy's.
func (r *run) enter(j *Job) {
	if j.state == gone {
		return
	}
	if j.state != atDoor {
		r.err = fmt.Errorf("strategy: at %v job %d enters, which does not stand at the door", r.time, j.ID)
		return
	}
	r.hold(j, -1)
	j.state, j.sent = away, r.time.Add(-j.fate.request)
	r.serve(j)
}

// serve has the upstream answer.
func (r *run) serve(j *Job) {
	back := j.fate.work + j.fate.answer
	q := Request{
		Call: j.Call, Cost: j.truth, Free: j.free, Work: j.fate.work,
		sent: j.sent.UnixNano(), probe: j.Probe,
	}
	if !j.fate.diesAfter && !j.fate.unreported {
		q.heard = r.now + int64(back)
	}
	j.reply = Reply{Answer: r.up.serve(r.now, q, j.buckets), Sent: j.sent, Received: r.time.Add(back)}
	r.arrived(j)
	r.plan(back, answered, j)
}

// answer is the caller's, who reports it.
func (r *run) answer(j *Job) {
	served := j.reply.Served()
	r.note(answerMark, j, int64(j.reply.Status))
	switch {
	case j.fate.diesAfter:
		r.up.fired.DiedAfter++
		r.lost(j)
		return
	case j.fate.unreported:
		r.up.fired.Unreported++
		j.state = ended
		if !served {
			r.handOver(j.source, j.demand, j.Wanted)
			return
		}
	case served:
		j.state = ended
		r.strategy.Heard(r.time, j, j.reply)
		r.heed()
	default:
		r.back(j)
		r.strategy.Heard(r.time, j, j.reply)
		r.heed()
		return
	}
	r.done(j)
	r.again(j, 0)
}

// back makes a job its strategy's again.
func (r *run) back(j *Job) {
	j.state = held
	r.hold(j, 1)
	if !j.Deadline.IsZero() && !r.time.Before(j.Deadline) {
		r.leave(j)
	}
}

// leave is a caller that gives up, which its strategy does not hear of before it
// sends the job.
func (r *run) leave(j *Job) {
	if j.state != held && j.state != atDoor {
		return
	}
	r.hold(j, -1)
	for i, b := range j.buckets {
		if !spentBeside(j.buckets, i, r.now) {
			b.window.left++
		}
	}
	j.state = gone
	r.gaveUp++
	r.again(j, 0)
}

// spentBeside reports whether one of the buckets but the i-th has nothing left:
// what a call waited for was not that one.
func spentBeside(buckets []*bucket, i int, now int64) bool {
	for k, b := range buckets {
		if k != i && b.meter.left(now) <= 0 {
			return true
		}
	}
	return false
}

// again lets a worker want its next call.
func (r *run) again(j *Job, after time.Duration) {
	if j.source.service.Workers > 0 {
		r.after(after, event{what: wants, source: j.source})
	}
}

// lose is a caller that died before it sent: it comes back for the same call.
func (r *run) lose(j *Job) {
	r.up.fired.DiedBefore++
	j.state = ended
	r.losses++
	r.plan(r.scenario.Fleet.Faults.restart(), returns, j)
}

func (r *run) lost(j *Job) {
	j.state = ended
	r.losses++
	r.again(j, r.scenario.Fleet.Faults.restart())
}

// drop is a caller that gives its right back.
func (r *run) drop(j *Job) {
	left := j.state == ended // by leave, after which its worker wants the next
	j.state = ended
	if !left {
		r.up.fired.Dropped++
		r.drops++
	}
	r.strategy.Dropped(r.time, j)
	r.heed()
	if !left {
		r.again(j, 0)
	}
}
