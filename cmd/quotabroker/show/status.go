package show

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/quotabroker/quotabroker/client/quotaadmin"
)

// Status is what a broker holds at one moment. Its JSON is stable: keys are
// added, never changed.
type Status struct {
	quotaadmin.Listing
	// Scores are those of the APIs in shadow mode.
	Scores []quotaadmin.Score `json:"shadow"`
}

// WriteTable writes it for people: the buckets, sums where not all are listed,
// and the scores.
func (s Status) WriteTable(w io.Writer) error {
	t := table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	if len(s.Quotas) == 0 {
		t.text("no quotas: nobody has asked for such a permit yet")
	} else {
		t.row("API", "APP", "LIMIT", "KEY", "USED/LIMIT", "REMAINING", "RESET IN", "STATE", "WAITING", "FORECAST", "TOLD BY", "HEARD", "WINDOW")
		for i := range s.Quotas {
			t.quota(&s.Quotas[i])
		}
	}
	if int64(len(s.Quotas)) < s.Matched {
		t.text("")
		t.text(fmt.Sprintf("%d of %d buckets; all of them:", len(s.Quotas), s.Matched))
		t.totals(s.Totals)
	}
	for i := range s.Scores {
		t.text("")
		t.score(&s.Scores[i])
	}
	return t.Flush()
}

// table aligns the cells of its rows; a text between them starts a table anew.
type table struct{ *tabwriter.Writer }

func (t table) row(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) }

func (t table) text(line string) { fmt.Fprintln(t, line) }

func (t table) quota(q *quotaadmin.Quota) {
	t.row(name(q.API), name(q.App), name(q.Limit), key(counted(q)), used(q), number(q.Remaining), span(q.ResetAfter),
		standing(q), fmt.Sprint(q.Waiting), forecast(q), toldBy(q), heard(q), window(q))
}

// used is how much of the quota is, and how much of that was not acquired.
func used(q *quotaadmin.Quota) string {
	if q.Quota < 0 {
		return "?/?" + unit(q.Unit)
	}
	text := fmt.Sprintf("%d/%d%s", q.Used, q.Quota, unit(q.Unit))
	switch {
	case q.OthersToday > q.Others:
		text += fmt.Sprintf(" (%d by others, %d today)", q.Others, q.OthersToday)
	case q.Others > 0:
		text += fmt.Sprintf(" (%d by others)", q.Others)
	}
	return text
}

// standing is a bucket's state, and until when where that is known.
func standing(q *quotaadmin.Quota) string {
	switch {
	case q.State == "cooling" && q.CooldownAfter != nil:
		return "cooling for " + span(q.CooldownAfter)
	case q.Rate > 0:
		return fmt.Sprintf("%s, held to %.3g a second", q.State, q.Rate)
	}
	return q.State
}

// toldBy is who told the quota, and what a learned one rests on.
func toldBy(q *quotaadmin.Quota) string {
	switch c := q.Confidence; {
	case c == nil:
		return q.Provenance
	case c.Confirmed > 0:
		return fmt.Sprintf("%s (%s, %s ago)", q.Provenance, times(c.Confirmed), span(c.ConfirmedAgo))
	case c.Siblings > 0:
		return fmt.Sprintf("%s (of other users)", q.Provenance)
	}
	return fmt.Sprintf("%s (at least)", q.Provenance)
}

func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprint(n, " times")
}

func forecast(q *quotaadmin.Quota) string {
	switch {
	case q.EndsAfter == nil && q.ResetAfter == nil:
		return none
	case q.EndsAfter == nil:
		return "lasts"
	case *q.EndsAfter == 0:
		return "ended"
	}
	return "ends in " + span(q.EndsAfter)
}

func heard(q *quotaadmin.Quota) string {
	if q.HeardAgo == nil {
		return "never"
	}
	return span(q.HeardAgo) + " ago"
}

// window is the kind of the bucket's window: as it is declared, and as responses
// show it where that is something else.
func window(q *quotaadmin.Quota) string {
	switch seems := fmt.Sprintf("seems %s (%.0f%%)", printable(q.FoundWindow), 100*q.FoundConfidence); {
	case q.FoundWindow == "" && q.Window == "":
		return none
	case q.FoundWindow == "" || q.FoundWindow == q.Window:
		return printable(q.Window)
	case q.Window == "":
		return seems
	default:
		return printable(q.Window) + ", " + seems
	}
}

func (t table) totals(totals []quotaadmin.Total) {
	t.row("API", "LIMIT", "BUCKETS", "SPENT", "CLOSED", "USED", "BY OTHERS", "OUTSTANDING", "WAITING")
	for _, s := range totals {
		t.row(name(s.API), name(s.Limit), fmt.Sprint(s.Buckets), fmt.Sprint(s.Spent), fmt.Sprint(s.Closed),
			fmt.Sprint(s.Used)+unit(s.Unit), fmt.Sprint(s.Others), fmt.Sprint(s.Outstanding), fmt.Sprint(s.Waiting))
	}
}

// score says whether an API can leave shadow mode, and by which counts.
func (t table) score(s *quotaadmin.Score) {
	t.text(fmt.Sprintf("shadow mode of %s, for %s: %s", name(s.API), span(s.KeptFor), printable(s.Advice)))
	t.row("LIMIT", "GRANTED AND TAKEN", "GRANTED BUT REFUSED", "HELD BUT TAKEN", "HELD AND REFUSED", "HELD AT A TURN")
	row := func(limit string, c quotaadmin.Counts) {
		t.row(limit, fmt.Sprint(c.GrantedTaken), fmt.Sprint(c.GrantedRefused),
			fmt.Sprint(c.HeldTaken), fmt.Sprint(c.HeldRefused), fmt.Sprint(c.HeldAtTurn))
	}
	for _, l := range s.Limits {
		limit := name(l.Limit)
		if l.Limit == "" {
			limit = "(nobody knows)"
		}
		row(limit, l.Counts)
	}
	row("each call once", s.Counts)
}
