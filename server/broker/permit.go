package broker

import (
	"container/list"
	"time"

	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
)

// Permit is a granted right, as its caller sees it.
type Permit struct {
	// ID is unguessable and good for the caller that acquired it only.
	ID string
	// SendWithin and ReportWithin are counted from when the caller asked, so
	// they contain the time it waited.
	SendWithin, ReportWithin time.Duration
	// Generation is smaller than that of a revocation that makes the permit void.
	Generation uint64
	// Wants is what the report should contain.
	Wants dialect.Wants
}

// permit is one grant that has not ended for its caller.
type permit struct {
	id     string
	nonce  nonce
	caller string
	// request is the key under which a retry finds it; its ID is empty when it
	// has none.
	request requestKey
	costs   quota.Costs
	grant   quota.Permit
	// sendWithin and reportWithin are what it was granted with.
	sendWithin, reportWithin time.Duration

	shadow shadow
	place  *list.Element
}

// permits are those of one life, by nonce and in the order of their grants. The
// shard's lock guards them.
type permits struct {
	byNonce map[nonce]*permit
	order   *list.List
}

func newPermits() permits { return permits{map[nonce]*permit{}, list.New()} }

func (ps *permits) add(p *permit) {
	ps.byNonce[p.nonce] = p
	p.place = ps.order.PushBack(p)
}

func (ps *permits) remove(p *permit) {
	delete(ps.byNonce, p.nonce)
	ps.order.Remove(p.place)
}

// holds reports whether the permit has not ended, in this life.
func (ps *permits) holds(p *permit) bool { return ps.byNonce[p.nonce] == p }

// grantLocked enters what the ledger granted, which is in the next permit.
func (s *shard) grantLocked(w *waiter) *permit {
	p := s.next
	s.makeRoomLocked()
	p.id, p.nonce = newID(s.life)
	p.caller, p.request, p.costs = w.request.caller, w.request, w.Costs
	p.sendWithin, p.reportWithin = s.sendWithin, s.reportWithin
	s.permits.add(p)
	return p
}

// makeRoomLocked makes the next permit, of which the ledger's is a part.
func (s *shard) makeRoomLocked() {
	s.next = &permit{}
	s.queues.Room = &s.next.grant
}

// endLocked forgets a permit.
func (s *shard) endLocked(p *permit) {
	s.permits.remove(p)
	if w := s.requests[p.request]; w != nil && w.permit == p {
		delete(s.requests, p.request)
	}
}

// forgetLocked ends the permits whose report is not awaited any more. One that was
// granted with a shorter wait than those before it is kept as long as they are.
func (s *shard) forgetLocked(now time.Time) {
	for e := s.permits.order.Front(); e != nil; e = s.permits.order.Front() {
		p := e.Value.(*permit)
		if now.Before(p.grant.GrantedAt.Add(p.reportWithin)) {
			return
		}
		s.endLocked(p)
	}
}

// permitLocked is the caller's permit, or nil. A permit that is due to lapse has
// lapsed, even if the timer is late.
func (s *shard) permitLocked(now time.Time, n nonce, caller string) *permit {
	s.forgetLocked(now)
	p := s.permits.byNonce[n]
	if p == nil || p.caller != caller {
		return nil
	}
	s.ledger.Advance(now)
	return p
}

// shown is the permit as a caller that asked at an instant sees it.
func (s *shard) shown(p *permit, asked time.Time) Permit {
	held := p.grant.GrantedAt.Sub(asked)
	return Permit{
		ID: p.id, SendWithin: held + p.sendWithin, ReportWithin: held + p.reportWithin,
		Generation: p.grant.Generation, Wants: s.wants,
	}
}
