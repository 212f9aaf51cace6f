package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// Result is both runs side by side. Its JSON is stable: keys are added, never
// changed.
type Result struct {
	// Headers is what the API said of its quotas.
	Headers Headers `json:"headers"`

	Fleet  Fleet   `json:"fleet"`
	Alone  Outcome `json:"alone"`
	Broker Outcome `json:"broker"`
}

// Fleet is who made the calls.
type Fleet struct {
	Services int `json:"services"`
	// Workers is the calls that each service makes at a time.
	Workers int `json:"workers_per_service"`
	Users   int `json:"users"`
	Calls   int `json:"calls"`
	// Demand is the calls that fall due in a window, as a multiple of the
	// application's quota.
	Demand float64 `json:"demand"`
	// Window is the length of the quotas' windows in seconds.
	Window float64 `json:"window_seconds"`
}

// Outcome is what came of one run. Durations are in seconds.
type Outcome struct {
	// Finished is false when the time was up before the work was done.
	Finished bool `json:"finished"`
	// Seconds is the time to finish the work, or until the time was up.
	Seconds float64 `json:"seconds"`
	// Served is the calls that the API counted, Refused its 429s.
	Served  int64 `json:"served"`
	Refused int64 `json:"refused"`
	// GivenUp is how often a service gave a call up and had to begin it again.
	GivenUp int64 `json:"given_up"`
	// LongestLockout is the longest time from a quota's 429 to the next call
	// that it served.
	LongestLockout float64 `json:"longest_lockout_seconds"`
	// LongestCall is the longest that a worker was busy with one call, waits
	// included.
	LongestCall float64 `json:"longest_call_seconds"`
	// Quotas are the API's: "app" and "member".
	Quotas []Use `json:"quotas"`
}

// Use is the shares of one quota that were used in its complete windows, 0 to 1:
// those that lie between the start and the end of the application's last window
// in which the fleet wanted at least its quota. After that there is not enough
// work left to use a quota up.
type Use struct {
	Name    string  `json:"name"`
	Quota   int64   `json:"quota"`
	Windows int     `json:"complete_windows"`
	Mean    float64 `json:"mean"`
	Lowest  float64 `json:"lowest"`
	Highest float64 `json:"highest"`
}

// describe is the fleet of a plan.
func describe(p Plan) Fleet {
	return Fleet{
		Services: p.Services, Workers: p.Workers, Users: p.Users, Calls: p.Calls,
		Demand: p.Demand, Window: p.Window.Seconds(),
	}
}

// Verdict is an error that says how the broker broke its promise, nil when it
// kept it: all of the work done, and no 429.
func (r Result) Verdict() error {
	switch {
	case r.Broker.Refused > 0:
		return fmt.Errorf("the API answered 429 to %d calls through the broker, which promises none", r.Broker.Refused)
	case !r.Broker.Finished:
		return fmt.Errorf("the fleet did not finish its work through the broker in %.0f s", r.Broker.Seconds)
	}
	return nil
}

// WriteJSON writes the result for machines.
func (r Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteTable writes the result for people.
func (r Result) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	row := func(label string, cell func(Outcome) string) {
		fmt.Fprintf(t, "%s\t%s\t%s\n", label, cell(r.Alone), cell(r.Broker))
	}
	fmt.Fprintf(t, "\teach service alone\tthrough quotabroker\n")
	row("requests served", func(r Outcome) string { return fmt.Sprint(r.Served) })
	row("429s", func(r Outcome) string { return fmt.Sprint(r.Refused) })
	row("longest lock-out after a 429", func(r Outcome) string { return fmt.Sprintf("%.1f s", r.LongestLockout) })
	row("longest call, waits included", func(r Outcome) string { return fmt.Sprintf("%.1f s", r.LongestCall) })
	for _, name := range []string{"app", "member"} {
		row(name+" quota used per complete window", func(r Outcome) string { return r.use(name).cell() })
	}
	row("time to finish the same work", Outcome.finish)
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "\nShares are those of windows in which the fleet wanted the application's whole quota or more.")
	return err
}

func (r Outcome) use(name string) Use {
	i := slices.IndexFunc(r.Quotas, func(u Use) bool { return u.Name == name })
	if i < 0 {
		return Use{}
	}
	return r.Quotas[i]
}

func (u Use) cell() string {
	if u.Windows == 0 {
		return "none complete"
	}
	return fmt.Sprintf("%.1f %% (%.1f to %.1f %%, %d windows)", 100*u.Mean, 100*u.Lowest, 100*u.Highest, u.Windows)
}

func (r Outcome) finish() string {
	if !r.Finished {
		return fmt.Sprintf("not in %.1f s", r.Seconds)
	}
	return fmt.Sprintf("%.1f s", r.Seconds)
}
