package ours

import (
	"cmp"
	"slices"
	"time"

	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/queue"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/simulate"
)

// ask is an acquire that arrives at the broker.
func (b *broker) ask(now time.Time, j *simulate.Job) {
	c := &call{job: j}
	b.calls[j] = c
	c.Place = b.queues.Enter(c, scope(j.Call), b.costs(j), now)
	b.queues.Try(now, &c.Place)
	b.step(now)
	if c.At() != nil && !j.Deadline.IsZero() {
		b.coming.Add(j.Deadline, func(now time.Time) { b.leave(now, c) })
	}
}

// leave ends the wait of a call whose caller gives up.
func (b *broker) leave(now time.Time, c *call) {
	if c.At() == nil {
		return
	}
	b.queues.Leave(&c.Place)
	delete(b.calls, c.job)
	b.step(now)
}

// costs is what the caller says that the job takes.
func (b *broker) costs(j *simulate.Job) quota.Costs {
	unit := b.env.Scenario.Costs.Unit
	if unit == "" || unit == quota.Requests {
		return nil
	}
	return quota.Costs{unit: j.Cost}
}

// report is what came back, as a service has told it.
func (b *broker) report(now time.Time, c *call, r simulate.Reply) {
	resp := dialect.Response{Status: r.Status, Body: []byte(r.Body), Received: now}
	for _, h := range r.Headers {
		resp.Headers = append(resp.Headers, dialect.Field{Name: h.Name, Value: h.Value})
	}
	a := b.dialect.Read(resp).Answer
	// A caller reports at once, and tells how long its call took.
	a.Received, a.Sent = now, now.Add(-r.Received.Sub(r.Sent))
	if unit := b.env.Scenario.Costs.Unit; unit != "" && r.Cost > 0 {
		a.Costs = quota.Costs{unit: r.Cost}
	}
	b.ledger.Advance(now)
	b.ledger.Settle(now, c.permit, a)
	b.step(now)
}

// release is a permit that comes back unsent.
func (b *broker) release(now time.Time, c *call) {
	b.ledger.Advance(now)
	b.ledger.Release(now, c.permit)
	b.step(now)
}

// step follows everything that happens: whoever can go goes, holders hear of
// revocations, and what is to be stored is.
func (b *broker) step(now time.Time) {
	b.queues.Serve(now)
	b.ledger.Changed()
	b.store(now)
	b.revoke(now)
}

// store writes what the ledger wants to be written. What is wanted meanwhile is
// the next write.
func (b *broker) store(now time.Time) {
	for !b.storing {
		wanted := b.ledger.Wanted(now)
		if len(wanted) == 0 {
			return
		}
		b.storing = true
		durable := func(now time.Time) {
			b.storing = false
			b.ledger.Reserved(now, wanted)
			b.queues.Serve(now)
		}
		if after := b.env.Scenario.Fleet.Store.Draw(b.env.Rand); after > 0 {
			b.coming.Add(now.Add(after), func(now time.Time) {
				durable(now)
				b.step(now)
			})
			return
		}
		durable(now)
	}
}

// Decide sends the permit on its way, or has the call stand.
func (b *broker) Decide(now time.Time, p *queue.Place[*call], d quota.Decision) (stand bool) {
	c := p.Who
	switch {
	case d.Allowed():
		c.permit = d.Permit
		c.job.Probe = b.probed()
		b.message(now, func(now time.Time) { b.granted(now, c) })
	case b.Ends(d) || c.tooLate(d):
		delete(b.calls, c.job)
	default:
		return true
	}
	return false
}

// tooLate reports whether the caller will have given up before the call could be
// made, which it is told at once.
func (c *call) tooLate(d quota.Decision) bool {
	return d.Firm && !c.job.Deadline.IsZero() && d.RetryAt.After(c.job.Deadline)
}

// Ends reports whether a call is so large that it never goes.
func (b *broker) Ends(d quota.Decision) bool { return d.Reason == quota.TooLarge }

// Blocked tells those at once who will have given up before they could go.
func (b *broker) Blocked(_ time.Time, q *queue.Queue[*call], d quota.Decision) {
	for _, p := range q.Places() {
		if p.Who.tooLate(d) {
			b.queues.Leave(p)
			delete(b.calls, p.Who.job)
		}
	}
}

// probed reports whether the ledger has just granted a probe.
func (b *broker) probed() bool {
	var probes uint64
	for _, t := range b.ledger.Tallies {
		probes += t.Probes
	}
	probed := probes > b.probes
	b.probes = probes
	return probed
}

// granted is a permit that arrives at its service, which sends unless the permit
// is void by then.
func (b *broker) granted(now time.Time, c *call) {
	if b.revoked.voids(c) || !now.Before(c.permit.GrantedAt.Add(b.sendWithin)) {
		b.again(now, c)
		return
	}
	b.env.Send(c.job)
	if b.env.Scenario.Fleet.Faults.Slow.Share > 0 {
		// A slow caller looks at its permit again before it sends.
		b.coming.Add(c.permit.GrantedAt.Add(b.sendWithin), func(now time.Time) { b.recall(now, c) })
		b.revoked.held(c)
	}
}

// recall stops a call whose permit is void, if it has not been sent.
func (b *broker) recall(now time.Time, c *call) {
	if b.calls[c.job] == c && b.env.Recall(c.job) {
		b.again(now, c)
	}
}

// again gives a void permit back, and asks for another.
func (b *broker) again(now time.Time, c *call) {
	b.message(now, func(now time.Time) {
		b.release(now, c)
		b.ask(now, c.job)
	})
}

// revoke pushes revocations to the services.
func (b *broker) revoke(now time.Time) {
	all := b.ledger.Revoked()
	slices.SortStableFunc(all, func(r, o quota.Revocation) int {
		return cmp.Or(cmp.Compare(r.Generation, o.Generation), r.Scope.Compare(o.Scope))
	})
	for _, r := range all {
		b.message(now, func(now time.Time) {
			for _, c := range b.revoked.add(r) {
				b.recall(now, c)
			}
		})
	}
}
