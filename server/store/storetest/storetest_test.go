package storetest

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// plain is the simplest store there can be, with the mistakes that can be made
// in one.
type plain struct {
	mistake string
	mu      sync.Mutex
	epochs  map[string]uint64
	records map[string][]quota.Reservation
}

func newPlain(mistake string) *plain {
	return &plain{mistake: mistake, epochs: map[string]uint64{}, records: map[string][]quota.Reservation{}}
}

func (p *plain) is(mistake string) bool { return p.mistake == mistake }

func (p *plain) name(s broker.Shard) string {
	if p.is("joins the shard's names") {
		return s.API + "/" + s.App
	}
	return fmt.Sprintf("%q %q", s.API, s.App)
}

func (p *plain) Own(ctx context.Context, s broker.Shard, _ string) (uint64, []quota.Reservation, error) {
	if err := ctx.Err(); err != nil && !p.is("owns without a context") {
		return 0, nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	name := p.name(s)
	if !p.is("keeps the epoch") || p.epochs[name] == 0 {
		p.epochs[name]++
	}
	if p.is("begins at another epoch") && p.epochs[name] == 1 {
		p.epochs[name] = 7
	}
	if p.is("forgets for a new owner") {
		delete(p.records, name)
	}
	if p.is("gives its own records away") {
		return p.epochs[name], p.records[name], nil
	}
	return p.epochs[name], slices.Clone(p.records[name]), nil
}

func (p *plain) Reserve(ctx context.Context, s broker.Shard, epoch uint64, records []quota.Reservation) error {
	if err := ctx.Err(); err != nil && !p.is("writes without a context") {
		return err
	}
	name := p.name(s)
	p.mu.Lock()
	stale := p.epochs[name] != epoch || epoch == 0
	if p.is("fences by the lesser only") {
		stale = epoch < p.epochs[name]
	}
	if p.is("checks the epoch apart from the write") {
		p.mu.Unlock()
		runtime.Gosched()
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	if p.is("fences and writes") && stale {
		p.write(name, records)
	}
	if stale && !p.is("does not fence") {
		return broker.ErrFenced
	}
	p.write(name, records)
	return nil
}

func (p *plain) write(name string, records []quota.Reservation) {
	for _, r := range records {
		list := p.records[name]
		i := slices.IndexFunc(list, func(old quota.Reservation) bool { return p.same(old, r) })
		reserved := int64(0)
		if i >= 0 {
			reserved = list[i].Reserved
		}
		if p.is("drops the zone") {
			r.Window.Zone = nil
		}
		if p.is("drops the rate") {
			r.Governor = quota.Governor{}
		}
		if p.is("drops the costs") {
			r.Cost = quota.CostLesson{}
		}
		switch {
		case i < 0 || p.is("appends"):
			p.records[name] = append(list, r)
		case p.is("overwrites"):
			list[i] = r
		case p.is("keeps what was reserved") && r.Final:
			list[i] = broker.Merge(list[i], r)
			list[i].Reserved = max(reserved, r.Reserved)
		case p.is("adds"):
			list[i].Reserved += r.Reserved
		case p.is("keeps the first of the rest"):
			list[i].Reserved, list[i].Settled = max(list[i].Reserved, r.Reserved), max(list[i].Settled, r.Settled)
		default:
			list[i] = broker.Merge(list[i], r)
		}
	}
	if p.is("keeps one window") {
		list := p.records[name]
		slices.SortStableFunc(list, func(a, b quota.Reservation) int { return cmp.Compare(b.Began, a.Began) })
		seen := map[string]bool{}
		p.records[name] = slices.DeleteFunc(list, func(r quota.Reservation) bool {
			id := r.Limit + r.Key.String()
			defer func() { seen[id] = true }()
			return seen[id]
		})
	}
}

func (p *plain) same(a, b quota.Reservation) bool {
	if p.is("joins the bucket's names") {
		join := func(r quota.Reservation) string { return r.Limit + "/" + r.Key.User + "/" + r.Key.Endpoint }
		return join(a) == join(b) && a.Began == b.Began
	}
	return a.Limit == b.Limit && a.Key == b.Key && a.Began == b.Began
}

// failures is a test that only notes whether it failed.
type failures struct {
	testing.TB
	mu   sync.Mutex
	said []string
}

func (f *failures) Helper() {}

func (f *failures) Errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, fmt.Sprintf(format, args...))
}

func (f *failures) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

// failed is what a behaviour says of a store with a mistake.
func failed(t *testing.T, b behaviour, mistake string) []string {
	f := &failures{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.check(f, newPlain(mistake))
	}()
	<-done
	return f.said
}

func TestPlainStorePasses(t *testing.T) {
	Run(t, func(*testing.T) broker.Store { return newPlain("") })
}

// Each mistake is caught by the behaviour that is there for it: a suite that
// catches nothing proves nothing.
func TestMistakesAreCaught(t *testing.T) {
	for mistake, by := range map[string]string{
		"keeps the epoch":             "EpochsGrow",
		"begins at another epoch":     "EpochsGrow",
		"forgets for a new owner":     "OwnReturnsRecords",
		"does not fence":              "StaleEpochIsFenced UnownedShardIsFenced",
		"fences by the lesser only":   "StaleEpochIsFenced UnownedShardIsFenced",
		"fences and writes":           "StaleEpochIsFenced",
		"appends":                     "RetriesAreHarmless MergesByTheGreater ConcurrentWritesMerge",
		"overwrites":                  "MergesByTheGreater LateWritesAreHarmless",
		"adds":                        "RetriesAreHarmless MergesByTheGreater",
		"keeps the first of the rest": "LateWritesAreHarmless",
		"keeps what was reserved":     "FinalGivesBack",
		"drops the zone":              "LearnedIsKept",
		"drops the rate":              "BackOffIsKept",
		"drops the costs":             "CostsAreKept",
		"keeps one window":            "NewestWindowsAreKept",
		"gives its own records away":  "RecordsAreCopies",
		"joins the shard's names":     "ShardsAreApart",
		"joins the bucket's names":    "BucketsAreApart",
		"owns without a context":      "EndedContext",
		"writes without a context":    "EndedContext",
	} {
		for _, b := range behaviours {
			if said := failed(t, b, mistake); len(said) == 0 && slices.Contains(strings.Fields(by), b.name) {
				t.Errorf("a store that %s passes %s", mistake, b.name)
			}
		}
	}
}

// That the epoch is checked apart from the write shows only when a newer owner
// comes between the two: within as many tries as it takes, it does.
func TestUnlockedFenceIsCaught(t *testing.T) {
	for _, b := range behaviours {
		if b.name != "OneNewestOwner" {
			continue
		}
		for range 10_000 {
			if len(failed(t, b, "checks the epoch apart from the write")) > 0 {
				return
			}
		}
	}
	t.Error("a store that checks the epoch apart from the write passes OneNewestOwner")
}
