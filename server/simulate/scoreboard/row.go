package scoreboard

import (
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
	"github.com/quotabroker/quotabroker/server/simulate/strategy"
)

// Row is what one strategy made of one variant of a scenario, over all seeds. Its
// JSON is what programs read.
type Row struct {
	Scenario string `json:"scenario"`
	Variant  string `json:"variant"`
	Strategy string `json:"strategy"`
	Seeds    int    `json:"seeds"`
	// Wanted is the calls that were wanted, Sent how often one was sent, Served
	// those that did what they were made for.
	Wanted int64 `json:"wanted"`
	Sent   int64 `json:"sent"`
	Served int64 `json:"served"`
	// Refused is the 429s; of these, Unaware were sent before the first could be
	// known of, and Probes to find something out.
	Refused int64 `json:"refused"`
	Unaware int64 `json:"unaware"`
	Probes  int64 `json:"probes"`
	// RefusedPer10k is the 429s of ten thousand calls that were sent, BlamedPer10k
	// those that the scenario does not forgive.
	RefusedPer10k float64 `json:"refused_per_10000"`
	BlamedPer10k  float64 `json:"blamed_per_10000"`
	// Used is the part of the quota that was used where the demand exceeded it,
	// Goodput the calls served by those that the clairvoyant had served; nil
	// without such windows, and without the clairvoyant.
	Used    *float64 `json:"used"`
	Goodput *float64 `json:"goodput"`
	// LongestLockout is the longest of all seeds, in seconds; the waits of calls
	// that were served are the means of the seeds' medians and 99th percentiles.
	LongestLockout float64 `json:"longest_lockout_seconds"`
	WaitP50        float64 `json:"wait_p50_seconds"`
	WaitP99        float64 `json:"wait_p99_seconds"`
	// Fairness is Jain's index over users, the mean of the seeds.
	Fairness float64 `json:"fairness"`
	// Meets says that what the scenario expects is achieved, Failures what is not.
	Meets    bool     `json:"meets"`
	Failures []string `json:"failures"`

	scenario *simulate.Scenario
}

// NewRow is of the runs of one variant by what is called so.
func NewRow(s *simulate.Scenario, name string, runs ...*simulate.Result) Row {
	return newRow(s, name, runs)
}

func newRow(s *simulate.Scenario, name string, runs []*simulate.Result) Row {
	v := s.Verdict(runs...)
	row := Row{
		Scenario: s.Name, Variant: s.Variant, Strategy: name, Seeds: len(runs),
		BlamedPer10k: v.Refused, Meets: v.Failures == nil, Failures: v.Failures, scenario: s,
	}
	if v.Contended {
		used := float64(v.Used)
		row.Used = &used
	}
	var p50, p99 time.Duration
	for _, r := range runs {
		row.Wanted, row.Sent, row.Served = row.Wanted+r.Wanted, row.Sent+r.Sent, row.Served+r.Served
		row.Refused, row.Unaware, row.Probes = row.Refused+r.Refused, row.Unaware+r.Unaware, row.Probes+r.Probes
		row.LongestLockout = max(row.LongestLockout, seconds(r.LongestLockout))
		p50, p99 = p50+r.WaitP50, p99+r.WaitP99
		row.Fairness += r.Fairness / float64(len(runs))
	}
	n := time.Duration(len(runs))
	row.WaitP50, row.WaitP99 = seconds(p50/n), seconds(p99/n)
	row.RefusedPer10k = per10k(row.Refused, row.Sent)
	return row
}

func per10k(refused, sent int64) float64 { return 1e4 * float64(refused) / float64(max(1, sent)) }

// seconds is a duration to the millisecond.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// compare fills in the goodput of a variant's rows.
func compare(rows []Row) {
	for _, best := range rows {
		if best.Strategy != strategy.Clairvoyant || best.Served == 0 {
			continue
		}
		for i := range rows {
			goodput := float64(rows[i].Served) / float64(best.Served)
			rows[i].Goodput = &goodput
		}
	}
}
