package scoreboard

import (
	"fmt"
	"slices"

	"github.com/quotabroker/quotabroker/server/simulate/strategy"
)

// pool makes one row of those of one strategy in all variants of a scenario: sums
// of calls, the longest lock-out, and means of what is a share or a wait.
func pool(rows []Row) Row {
	all := Row{Scenario: rows[0].Scenario, Strategy: rows[0].Strategy, Meets: true}
	var used, goodput mean
	n := float64(len(rows))
	for _, r := range rows {
		all.Wanted, all.Sent, all.Served, all.Refused = all.Wanted+r.Wanted, all.Sent+r.Sent, all.Served+r.Served, all.Refused+r.Refused
		all.LongestLockout = max(all.LongestLockout, r.LongestLockout)
		all.WaitP50, all.WaitP99, all.Fairness = all.WaitP50+r.WaitP50/n, all.WaitP99+r.WaitP99/n, all.Fairness+r.Fairness/n
		all.Meets = all.Meets && r.Meets
		used.add(r.Used)
		goodput.add(r.Goodput)
	}
	all.RefusedPer10k = per10k(all.Refused, all.Sent)
	all.Used, all.Goodput = used.value(), goodput.value()
	return all
}

// mean is of what there is.
type mean struct {
	sum float64
	n   int
}

func (m *mean) add(x *float64) {
	if x != nil {
		m.sum += *x
		m.n++
	}
}

func (m *mean) value() *float64 {
	if m.n == 0 {
		return nil
	}
	v := m.sum / float64(m.n)
	return &v
}

// enough is the part of the best goodput that is good.
const enough = 0.97

// beaten says in words where ours, in one variant, meets more 429s than another
// strategy that is not clairvoyant, or has less served than is enough; empty where
// it does not, and without ours.
func beaten(rows []Row) string {
	i := slices.IndexFunc(rows, func(r Row) bool { return r.Strategy == strategy.Ours })
	if i < 0 {
		return ""
	}
	ours, text := &rows[i], ""
	fewest, best := ours, ours
	for i := range rows {
		r := &rows[i]
		if r.Strategy != strategy.Clairvoyant && r.RefusedPer10k < fewest.RefusedPer10k {
			fewest = r
		}
		if r.Served > best.Served {
			best = r
		}
	}
	if fewest != ours {
		text = fmt.Sprintf("%s meets %.2f 429s and ours %.2f", fewest.Strategy, fewest.RefusedPer10k, ours.RefusedPer10k)
	}
	if part := float64(ours.Served) / float64(max(1, best.Served)); part < enough {
		if text != "" {
			text += ", and "
		}
		text += fmt.Sprintf("ours has %.1f %% of the calls served that %s has", 100*part, best.Strategy)
	}
	return text
}
