package quota

import (
	"slices"
	"sort"
	"time"
)

// counterSteps is how many steps a period of a sliding counter is kept in: what is
// counted is at most a step more than it must be.
const counterSteps = 512

// slidingCounter is what an upstream may count that keeps only two sums: of the
// period that it is in, and of the one before, weighed by how much of it lies
// within the last period. A call then weighs for up to two periods, not one.
//
// Nobody tells where its periods begin, so held is the most that it can count
// wherever they do. A call weighs the more the later it was counted, so each is
// taken for as late as it can have been.
type slidingCounter struct {
	period time.Duration
	held   int64
	// step is the step of now, and charges what is not forgotten, by step.
	step    int64
	charges []stepCharge
	// asked is the last question of [slidingCounter.freed], which those who wait ask
	// again and again, and answer what it was.
	asked  struct{ held, step, cost int64 }
	answer instant
}

type stepCharge struct{ step, cost int64 }

// weighs reports whether the upstream counts the bucket by a sliding counter.
func (b *Bucket) weighs() bool { return b.rule.Window.Counter }

// held is what a bucket that slides has counted.
func (b *Bucket) held() int64 {
	if b.weighs() {
		return b.kind.counter.held
	}
	return b.kind.log.held
}

// stepAt is the step in which an instant lies.
func (c *slidingCounter) stepAt(now instant) int64 {
	return int64(now) / int64(max(1, c.period/counterSteps))
}

// add counts a cost as of the end of this step.
func (c *slidingCounter) add(now instant, cost int64) {
	if cost == 0 {
		return
	}
	step := c.stepAt(now) + 1
	if n := len(c.charges); n > 0 && c.charges[n-1].step == step {
		c.charges[n-1].cost += cost
	} else {
		c.charges = append(c.charges, stepCharge{step, cost})
	}
	c.held += cost
}

// weigh forgets what weighs nothing any more, and weighs the rest anew.
func (c *slidingCounter) weigh(now instant) {
	if c.stepAt(now) == c.step {
		return
	}
	c.step = c.stepAt(now)
	c.charges = slices.DeleteFunc(c.charges, func(s stepCharge) bool { return s.step <= c.step-2*counterSteps })
	c.held = c.heldAt(c.step)
}

// heldAt is the most that can be counted at a step: the greatest of what it is for
// each step at which the upstream's period may have begun.
func (c *slidingCounter) heldAt(step int64) (most int64) {
	// Sums of the charges before a step, from two periods back.
	var before [2*counterSteps + 3]int64
	base := step - 2*counterSteps
	for _, s := range c.charges {
		if i := s.step - base + 1; i > 0 {
			before[min(i, int64(len(before)-1))] += s.cost
		}
	}
	for i := 1; i < len(before); i++ {
		before[i] += before[i-1]
	}
	all := before[len(before)-1]
	for begun := range int64(counterSteps) { // so many steps ago
		at := 2*counterSteps - begun
		last := before[at] - before[at-counterSteps]
		weighed := (last*(counterSteps-begun) + counterSteps - 1) / counterSteps
		most = max(most, all-before[at]+weighed)
	}
	return most
}

// freed is when at least so much less will be counted, zero when that is more than
// there is.
func (c *slidingCounter) freed(cost int64) instant {
	if cost > c.held {
		return 0
	}
	question := struct{ held, step, cost int64 }{c.held, c.step, cost}
	if c.asked == question {
		return c.answer
	}
	// It falls all the time, and to nothing within two periods and a step.
	steps := sort.Search(2*counterSteps+1, func(n int) bool { return c.heldAt(c.step+int64(n)) <= c.held-cost })
	c.asked, c.answer = question, instant(c.step+int64(steps))*instant(max(1, c.period/counterSteps))
	return c.answer
}
