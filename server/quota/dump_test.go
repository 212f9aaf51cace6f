package quota

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// dump is all that the ledger knows, in a fixed order.
func dump(l *Ledger) string {
	var b strings.Builder
	for _, bucket := range sorted(l) {
		dumpBucket(&b, *bucket)
	}
	for p := range l.permits.all {
		fmt.Fprintf(&b, "permit of %v at %d\n", p.Scope, p.granted)
	}
	fmt.Fprintf(&b, "generation %d random %d told %d queued %d cooling %d wanting %d opened %d changed %d revoked %d ghosts %d hold %d\n",
		l.generation, l.random, len(l.told), len(l.queued), len(l.cooling), len(l.wanting),
		kept(l.opened), kept(l.changed), len(l.revoked), len(l.ghosts), l.ghostsUntil)
	return b.String()
}

// decisive is what decides: all that the ledger knows but what a denial notes so
// that the bucket opens again. That is the reservation it asks the store for, the
// pace of probes, by when a window ends of which no answer will tell, and that the
// ramp still holds somebody back.
func decisive(l *Ledger) string {
	var b strings.Builder
	for _, bucket := range sorted(l) {
		c := *bucket
		rare, doubts := rareOf(bucket), c.doubted()
		doubts.probeAt, doubts.probeWait, doubts.supposed = 0, 0, false
		rare.doubts, rare.edge, rare.more = &doubts, nil, 0
		c.rare = &rare
		if c.cooldown = c.clone(); c.closure != nil {
			c.left = 0
		}
		if c.kind != nil {
			kind := *c.kind // when it opens is kept for whoever asks again
			if c.kind = &kind; kind.counter != nil {
				counter := *kind.counter
				counter.asked.cost, counter.answer = 0, 0
				counter.asked.held, counter.asked.step = 0, 0
				kind.counter = &counter
			}
		}
		c.end = span{}
		dumpBucket(&b, c)
	}
	for p := range l.permits.all {
		fmt.Fprintf(&b, "permit of %v at %d\n", p.Scope, p.granted)
	}
	fmt.Fprintf(&b, "generation %d random %d told %d opened %d changed %d revoked %d",
		l.generation, l.random, len(l.told), kept(l.opened), kept(l.changed), len(l.revoked))
	return b.String()
}

func dumpBucket(w *strings.Builder, b Bucket) {
	fmt.Fprintf(w, "%s of %v: %+v ", b.rule.Name, b.Key(), b.tally)
	if e := b.edge(); e != nil {
		fmt.Fprintf(w, "edge %+v ", *e)
	}
	if b.last != nil {
		fmt.Fprintf(w, "last %+v ", *b.last)
	}
	if b.closure != nil {
		shut := *b.closure
		shut.nth = 0
		fmt.Fprintf(w, "closure %+v ", shut)
	}
	if k := b.kind; k != nil {
		if k.log != nil {
			fmt.Fprintf(w, "log %+v ", *k.log)
		}
		if k.counter != nil {
			fmt.Fprintf(w, "counter %+v ", *k.counter)
		}
		fmt.Fprintf(w, "kind %+v ", kindState{asOf: k.asOf, own: k.own, told: k.told, firstUse: k.firstUse})
	}
	rare := rareOf(&b)
	fmt.Fprintf(w, "doubts %+v hearsay %+v untimed %+v want %d ", b.doubted(), b.heardOf(), rare.untimed, b.want())
	b.kin, b.user = nil, ""
	b.last, b.closure, b.rare, b.hearsay, b.kind = nil, nil, nil, nil, nil
	fmt.Fprintf(w, "%+v\n", b)
}

// rareOf is what the bucket rarely needs.
func rareOf(b *Bucket) rare {
	if b.rare == nil {
		return rare{}
	}
	return *b.rare
}

func sorted(l *Ledger) []*Bucket {
	return slices.SortedFunc(l.Buckets(Scope{}), func(x, y *Bucket) int {
		return cmp.Or(cmp.Compare(x.rule.Name, y.rule.Name), cmp.Compare(x.Key().String(), y.Key().String()))
	})
}

// diff is the lines by which two dumps differ.
func diff(before, after string) string {
	var b strings.Builder
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	for i := range max(len(was), len(is)) {
		x, y := "", ""
		if i < len(was) {
			x = was[i]
		}
		if i < len(is) {
			y = is[i]
		}
		if x != y {
			fmt.Fprintf(&b, "- %s\n+ %s\n", x, y)
		}
	}
	return b.String()
}

// kept counts the buckets of a list that the ledger has not forgotten.
func kept(list []*Bucket) (n int) {
	for _, b := range list {
		if !b.dropped {
			n++
		}
	}
	return n
}
