package simulate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Expect is what a good strategy achieves in a scenario, over all its runs. The
// zero value is no 429, and nothing else.
type Expect struct {
	// Refused is how many 429s there may be of ten thousand calls that were sent,
	// less what Allow and Learning forgive.
	Refused float64 `yaml:"refused"`
	// Allow is which 429s are not counted.
	Allow []Forgiven `yaml:"allow"`
	// From is the number of a bucket's first window that counts for what follows:
	// 1 is the first that lies within the run as a whole; 0 is 1.
	From int64 `yaml:"from"`
	// Learning is how many 429s of each bucket and window before From are not
	// counted either.
	Learning int64 `yaml:"learning"`
	// Used is how much must be used of the contended windows of Limits, of all
	// limits when none is named.
	Used   Share    `yaml:"used"`
	Limits []string `yaml:"limits"`
	// Served is the share of the wanted calls that must be served.
	Served Share `yaml:"served"`
	// Touched is the share of buckets that may meet a 429; 0 does not matter.
	Touched Share `yaml:"touched"`
}

// Forgiven is 429s that nobody is to blame for.
type Forgiven string

// The kinds of 429s that may be forgiven.
const (
	// ForgivenUnaware are those of calls that were sent before a refusal could be
	// known of.
	ForgivenUnaware Forgiven = "unaware"
	// ForgivenProbes are those of calls that were sent to find out.
	ForgivenProbes Forgiven = "probes"
)

func (Forgiven) choices() []string { return []string{"unaware", "probes"} }

func (e *Expect) check(c checker, limits []Limit) {
	c.must(0 <= e.Refused && e.Refused <= 10_000, "refused", e.Refused, "must be from 0 to 10000")
	for i, f := range e.Allow {
		c.must(slices.Contains(f.choices(), string(f)), fmt.Sprintf("allow[%d]", i), f, "must be one of "+strings.Join(f.choices(), ", "))
	}
	c.count("from", e.From, 0, mostCalls)
	c.count("learning", e.Learning, 0, mostCalls)
	c.must(e.Learning == 0 || e.From > 1, "learning", e.Learning, "is of the windows before from: give a from above 1")
	c.share("used", e.Used)
	for i, name := range e.Limits {
		c.must(slices.ContainsFunc(limits, func(l Limit) bool { return l.Name == name }), fmt.Sprintf("limits[%d]", i), name, "no such limit")
	}
	c.share("served", e.Served)
	c.share("touched", e.Touched)
}

// Verdict is what a scenario's runs come to.
type Verdict struct {
	// Refused is the 429s of ten thousand calls that were sent, less those that the
	// scenario forgives.
	Refused float64
	// Used is the part that was used of the contended windows that the scenario asks
	// about, 0 to 1; Contended is false when there was none.
	Used      Share
	Contended bool
	// Served is the part of the wanted calls that were served, Touched the part of
	// the buckets that met a 429.
	Served, Touched Share
	// Failures names in words what is not achieved of what is expected; nil is well
	// done. A fault that never came true is a failure too: runs show nothing of what
	// did not happen.
	Failures []string
}

// Judge names in words what the runs of a scenario do not achieve of what it
// expects; nil is well done.
func (s *Scenario) Judge(runs ...*Result) []string { return s.Verdict(runs...).Failures }

// Verdict judges the runs of a scenario, all together.
func (s *Scenario) Verdict(runs ...*Result) Verdict {
	e := &s.Expect
	v := verdict{expect: e}
	for _, r := range runs {
		v.add(r)
	}
	is := Verdict{
		Refused: 1e4 * float64(v.blamed) / float64(max(1, v.sent)),
		Used:    Share(float64(v.counted) / float64(max(1, v.had))), Contended: v.had > 0,
		Served:  Share(float64(v.served) / float64(max(1, v.wanted))),
		Touched: Share(float64(v.touched) / float64(max(1, v.buckets))),
	}
	fail := func(wrong bool, format string, args ...any) {
		if wrong {
			is.Failures = append(is.Failures, fmt.Sprintf(format, args...))
		}
	}
	fail(is.Refused > e.Refused, "%.4g 429s of 10 000 calls, want at most %v", is.Refused, e.Refused)
	fail(e.Used > 0 && !is.Contended, "no window was contended, so nothing can be said of the quota used")
	fail(is.Contended && is.Used < e.Used, "%v of the quota used, want %v", is.Used, e.Used)
	fail(is.Served < e.Served, "%v of the calls served, want %v", is.Served, e.Served)
	fail(e.Touched > 0 && is.Touched > e.Touched, "%v of the buckets met a 429, want at most %v", is.Touched, e.Touched)
	for _, field := range v.fired.Unfired(s) {
		fail(true, "%s never came true", field)
	}
	return is
}

// verdict is the sums of a scenario's runs.
type verdict struct {
	expect                       *Expect
	sent, wanted, served, blamed int64
	counted, had                 int64
	buckets, touched             int64
	fired                        Fired
}

func (v *verdict) add(r *Result) {
	e := v.expect
	v.sent, v.wanted, v.served = v.sent+r.Sent, v.wanted+r.Wanted, v.served+r.Served
	counted, had := r.contended(int(e.first()-1), e.Limits)
	v.counted, v.had = v.counted+counted, v.had+had
	v.fired.add(&r.Fired)
	blamed := r.Refused - e.forgiven(r.Unaware, r.Probes)
	seen := make(map[bucketName]int64)
	touched := make(map[bucketName]bool)
	for i := range r.Windows {
		w := &r.Windows[i]
		name := bucketName{w.Limit, w.Key}
		if w.Whole {
			seen[name]++
		}
		if seen[name] < e.first() {
			blamed -= min(e.Learning, w.Refused-e.forgiven(w.Unaware, w.Probes))
			continue
		}
		touched[name] = touched[name] || w.Refused > 0
	}
	v.blamed += max(0, blamed)
	v.buckets += int64(len(touched))
	for _, hit := range touched {
		if hit {
			v.touched++
		}
	}
}

// forgiven is how many of these 429s are not counted.
func (e *Expect) forgiven(unaware, probes int64) (n int64) {
	if slices.Contains(e.Allow, ForgivenUnaware) {
		n += unaware
	}
	if slices.Contains(e.Allow, ForgivenProbes) {
		n += probes
	}
	return n
}

// first is the number of the first window that counts.
func (e *Expect) first() int64 { return cmp.Or(e.From, 1) }
