package broker

import (
	"context"
	"errors"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// The keeper's pace.
const (
	// keeperFirstPause is the pause after a failure; each further one doubles it.
	keeperFirstPause = 50 * time.Millisecond
	keeperLastPause  = time.Second
	// storeTimeout is when one answer of the store is given up.
	storeTimeout = 10 * time.Second
)

// debt is what the store has to do for a shard: make this broker its owner, or
// write reservations.
type debt struct {
	own     bool
	epoch   uint64
	records []quota.Reservation
	// final says that the records are the owner's last word.
	final bool
}

// keepLocked starts the keeper when something is owed and it does not run.
func (s *shard) keepLocked(now time.Time) {
	if s.keeping {
		return
	}
	if _, owed := s.debtLocked(now); !owed {
		return
	}
	s.keeping, s.owedSince = true, now
	s.broker.keepers.Go(s.keep)
}

// debtLocked is what is owed now. A shard that nobody uses is not owned; one that
// stops owes its last word.
func (s *shard) debtLocked(now time.Time) (debt, bool) {
	d := debt{epoch: s.epoch}
	switch {
	case s.gone && !s.stopping:
		return d, false
	case s.ledger == nil:
		return debt{own: true}, !s.gone && (s.queues.Of(nil) != nil || s.awaited > 0)
	case s.stopping:
		d.final, d.records = true, s.ledger.Final(now)
	default:
		d.records = s.ledger.Wanted(now)
	}
	return d, len(d.records) > 0
}

// lateLocked reports whether the store has owed the shard an answer for longer
// than anybody is to wait.
func (s *shard) lateLocked(now time.Time) bool {
	return s.keeping && now.Sub(s.owedSince) >= storeBound
}

// keep is the keeper: it has the store do what is owed, one thing after the
// other, until nothing is. All that is wanted meanwhile is the next write. When
// the broker closes it gives up at the next failure.
func (s *shard) keep() {
	log := s.broker.config.Log.With("api", s.id.API, "app", s.id.App)
	pause := time.Duration(0)
	for d, owed := s.nextDebt(); owed; d, owed = s.nextDebt() {
		err := s.pay(d)
		switch {
		case err == nil && pause > 0:
			log.Info("the quota store answers again")
			pause = 0
		case err == nil:
		case s.broker.isClosing():
			log.Error("the quota store failed while the broker closed; what is reserved ahead is lost to this window", "error", err)
			return
		default:
			if pause == 0 {
				log.Warn("the quota store failed; it is tried again until it answers", "error", err)
			}
			pause = min(max(2*pause, keeperFirstPause), keeperLastPause)
			s.broker.pause(pause)
		}
	}
}

// nextDebt is what to do next; when there is nothing the keeper has ended.
func (s *shard) nextDebt() (debt, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, owed := s.debtLocked(s.nowLocked())
	s.keeping = owed
	return d, owed
}

// pay has the store do one thing, and tells the shard.
func (s *shard) pay(d debt) error {
	ctx, cancel := context.WithTimeout(s.broker.ctx, storeTimeout)
	defer cancel()
	store := s.broker.config.Store
	if d.own {
		epoch, records, err := store.Own(ctx, s.id, s.broker.config.Owner)
		if err == nil {
			s.paid(func(now time.Time) { s.beginLocked(now, epoch, records) })
		}
		return err
	}
	err := store.Reserve(ctx, s.id, d.epoch, d.records)
	switch {
	case err == nil && d.final:
		s.paid(func(time.Time) { s.stopping = false })
	case err == nil:
		s.paid(func(now time.Time) { s.ledger.Reserved(now, d.records) })
	case errors.Is(err, ErrFenced):
		s.paid(s.endLifeLocked)
	}
	return err
}

// paid applies an answer of the store.
func (s *shard) paid(apply func(now time.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.nowLocked()
	s.owedSince = now
	apply(now)
	s.stepLocked(now)
}

// awaitStore waits until the channel is closed by the keeper, no longer than
// anybody is to wait for the store.
func (b *Broker) awaitStore(ctx context.Context, done <-chan struct{}) error {
	timer := time.NewTimer(storeBound)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-b.closing:
		return ErrClosed
	case <-timer.C:
		return ErrUnavailable
	}
}

// pause waits before the store is tried again; no longer once the broker closes.
func (b *Broker) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.closing:
	}
}

func (b *Broker) isClosing() bool {
	select {
	case <-b.closing:
		return true
	default:
		return false
	}
}
