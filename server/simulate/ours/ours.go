package ours

import (
	"slices"
	"time"

	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/queue"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/simulate"
	"github.com/quotabroker/quotabroker/server/simulate/agenda"
)

// broker is the whole of it: the broker's shard of the one application, and what
// is on its way between it and the services.
type broker struct {
	env     simulate.Env
	dialect dialect.Dialect
	ledger  *quota.Ledger
	queues  *queue.Queues[*call]
	// sendWithin is how long after its grant a permit may be sent.
	sendWithin time.Duration
	// storing is true while the store writes.
	storing bool
	// coming is what will happen: messages that arrive, writes that are durable.
	coming agenda.Agenda[func(now time.Time)]
	// calls are those that the services have not done with.
	calls map[*simulate.Job]*call
	// probes is how many the ledger had granted when it was last looked at.
	probes uint64
	// revoked is what the services know of revocations.
	revoked revoked
}

// call is one job on its way through the broker.
type call struct {
	queue.Place[*call]
	job *simulate.Job
	// permit is nil until it is granted.
	permit *quota.Permit
}

// New is the strategy. The error names what is wrong with the scenario's broker.
func New(env simulate.Env) (simulate.Strategy, error) {
	rules, d, err := configured(env.Scenario)
	if err != nil {
		return nil, err
	}
	send, _ := rules.Deadlines()
	b := &broker{env: env, dialect: d, sendWithin: send, calls: map[*simulate.Job]*call{}}
	b.queues = queue.New(b)
	b.ledger = quota.NewLedger(rules, env.Rand.Uint64())
	b.queues.Begin(b.ledger)
	return b, nil
}

// Want asks the broker for a permit.
func (b *broker) Want(now time.Time, j *simulate.Job) {
	b.message(now, func(now time.Time) { b.ask(now, j) })
}

// Heard reports what came back, and asks again if that was a refusal.
func (b *broker) Heard(now time.Time, j *simulate.Job, r simulate.Reply) {
	c := b.calls[j]
	delete(b.calls, j)
	b.message(now, func(now time.Time) {
		b.report(now, c, r)
		if !r.Served() {
			b.ask(now, j)
		}
	})
}

// Dropped gives the permit back.
func (b *broker) Dropped(now time.Time, j *simulate.Job) {
	c := b.calls[j]
	delete(b.calls, j)
	b.message(now, func(now time.Time) { b.release(now, c) })
}

// Advance delivers what has arrived, and does what time alone does.
func (b *broker) Advance(now time.Time) {
	for do, due := b.coming.Take(now); due; do, due = b.coming.Take(now) {
		do(now)
	}
	b.ledger.Advance(now)
	b.step(now)
}

// Wake is the next arrival, or the ledger's next event.
func (b *broker) Wake(now time.Time) time.Time {
	next := b.ledger.Wake(now)
	if !next.IsZero() && !next.After(now) {
		// As the broker does: no mistake of the model's may spin here.
		next = now.Add(time.Millisecond)
	}
	if coming := b.coming.Next(); next.IsZero() || !coming.IsZero() && coming.Before(next) {
		return coming
	}
	return next
}

// Believes is the least that would still be granted now by the buckets that count
// the call by the same parts as the limit: those of its name, and those that the
// broker has found, whose names are its own.
func (b *broker) Believes(now time.Time, l *simulate.Limit, c simulate.Call) (left int64, ok bool) {
	for _, bucket := range b.ledger.Counted(now, scope(c)) {
		st := b.ledger.Status(now, bucket)
		if !b.speaksOf(&st, l) {
			continue
		}
		if st.State == quota.Cooling {
			return 0, true
		}
		if st.Remaining != quota.Unknown && (!ok || st.Remaining < left) {
			left, ok = st.Remaining, true
		}
	}
	return left, ok
}

// speaksOf reports whether a bucket may be the limit's.
func (b *broker) speaksOf(st *quota.Status, l *simulate.Limit) bool {
	if (st.Key.User != "") != slices.Contains(l.Per, "user") || (st.Key.Endpoint != "") != slices.Contains(l.Per, "endpoint") {
		return false
	}
	return st.Limit == l.Name || !slices.ContainsFunc(b.env.Scenario.Upstream.Limits, func(o simulate.Limit) bool { return o.Name == st.Limit })
}

// message does something when a message has arrived.
func (b *broker) message(now time.Time, arrived func(now time.Time)) {
	after := b.env.Scenario.Fleet.Network.Draw(b.env.Rand)
	if after == 0 {
		arrived(now)
		return
	}
	b.coming.Add(now.Add(after), arrived)
}

func scope(c simulate.Call) quota.Scope {
	return quota.Scope{API: api, App: c.App, User: c.User, Endpoint: c.Endpoint}
}
