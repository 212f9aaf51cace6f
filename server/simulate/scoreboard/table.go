package scoreboard

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Table writes rows for people, as they come.
type Table struct {
	out io.Writer
	// widths are of the three names.
	scenario, variant, strategy int
	// calls says that the last column has those, not what is expected.
	calls bool
}

// NewTable makes a table for the rows of a plan, and writes its head.
func NewTable(out io.Writer, p *Plan) (*Table, error) { return newTable(out, p, false) }

// NewCallsTable is as [NewTable], of a plan of which nothing is expected: instead it
// has how many calls were served, the mean of the seeds.
func NewCallsTable(out io.Writer, p *Plan) (*Table, error) { return newTable(out, p, true) }

func newTable(out io.Writer, p *Plan, calls bool) (*Table, error) {
	t := &Table{out: out, calls: calls, scenario: len("scenario"), variant: len("variant"), strategy: len("strategy")}
	for _, s := range p.Variants {
		t.scenario, t.variant = max(t.scenario, utf8.RuneCountInString(s.Name)), max(t.variant, utf8.RuneCountInString(s.Variant))
	}
	for _, s := range p.Strategies {
		t.strategy = max(t.strategy, len(s.Name))
	}
	last := "expected"
	if calls {
		last = "served"
	}
	err := t.line("scenario", "variant", "strategy", "429s/10k", "blamed", "used", "goodput", "lock-out", "wait p50", "p99", "Jain", last)
	return t, err
}

func (t *Table) line(scenario, variant, strategy string, cells ...string) error {
	_, err := fmt.Fprintf(t.out, "%-*s  %-*s  %-*s  %8s  %8s  %7s  %7s  %8s  %8s  %8s  %5s  %s\n",
		t.scenario, scenario, t.variant, variant, t.strategy, strategy,
		cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6], cells[7], cells[8])
	return err
}

// Add writes a variant's rows.
func (t *Table) Add(rows []Row) error {
	for _, r := range rows {
		verdict := "met"
		switch n := int64(r.Seeds); {
		case t.calls:
			verdict = fmt.Sprintf("%d of %d", r.Served/n, r.Wanted/n)
		case !r.Meets:
			verdict = strings.Join(r.Failures, "; ")
		}
		cells := append(r.cells(), verdict)
		if err := t.line(r.Scenario, r.Variant, r.Strategy, cells...); err != nil {
			return err
		}
	}
	return nil
}

// cells are the figures as people read them.
func (r *Row) cells() []string {
	return []string{
		fmt.Sprintf("%.2f", r.RefusedPer10k), fmt.Sprintf("%.2f", r.BlamedPer10k), percent(r.Used), percent(r.Goodput),
		short(r.LongestLockout), short(r.WaitP50), short(r.WaitP99), fmt.Sprintf("%.3f", r.Fairness),
	}
}

// percent is a part of a whole; a dash when there is none.
func percent(x *float64) string {
	if x == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100**x)
}

// short is a time in seconds, in the unit that shows it.
func short(s float64) string {
	switch {
	case s >= 7200:
		return fmt.Sprintf("%.1f h", s/3600)
	case s >= 120:
		return fmt.Sprintf("%.1f min", s/60)
	}
	return fmt.Sprintf("%.2f s", s)
}

// WriteJSON writes a variant's rows, an object a line.
func WriteJSON(out io.Writer, rows []Row) error {
	e := json.NewEncoder(out)
	for _, r := range rows {
		if r.Failures == nil {
			r.Failures = []string{}
		}
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	return nil
}
