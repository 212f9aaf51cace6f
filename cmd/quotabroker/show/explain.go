package show

import (
	"fmt"
	"io"
	"strings"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/quotaadmin"
)

// Explanation is why a call would be allowed or not.
type Explanation struct {
	// Scope is whose call it is, as it was asked for.
	Scope client.Scope
	quotaadmin.Explanation
}

// WriteText writes it for people: the decision, and each bucket with its numbers,
// who waits, and the reports that it rests on.
func (x Explanation) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "A call of %s %s.\n", where(x.Scope), x.decision())
	if x.Shadow && x.Denied != nil && x.Denied.RetryAfter != nil {
		b.WriteString("The API is in shadow mode: the call would be granted all the same.\n")
	}
	for i := range x.Buckets {
		b.WriteString("\n")
		writeBucket(&b, &x.Buckets[i])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (x Explanation) decision() string {
	d := x.Denied
	if d == nil {
		return "would be granted now"
	}
	text := "would be denied now: " + printable(d.Reason)
	if d.Limit != "" {
		text += fmt.Sprintf(" by limit %s of %s", printable(d.Limit), printable(d.Bucket))
	}
	if d.RetryAfter == nil {
		return text + "; it is larger than the limit allows in all"
	}
	return text + "; ask again in " + span(d.RetryAfter)
}

func writeBucket(b *strings.Builder, x *quotaadmin.Bucket) {
	fmt.Fprintf(b, "%s of %s: %s\n", name(x.Limit), where(counted(&x.Quota)), summary(x))
	for _, line := range numbers(x) {
		fmt.Fprintf(b, "  %s\n", line)
	}
	fmt.Fprintf(b, "  %s\n", waiting(x))
	if len(x.Evidence) == 0 {
		b.WriteString("  no report told numbers of it lately\n")
		return
	}
	b.WriteString("  reports, the newest first:\n")
	for i := range x.Evidence {
		fmt.Fprintf(b, "    %s\n", report(&x.Evidence[i]))
	}
}

// summary is where the bucket stands.
func summary(x *quotaadmin.Bucket) string {
	var parts []string
	switch {
	case x.Model.Gate:
		parts = append(parts, "it has no quota and only backs off")
	case x.Quota.Quota < 0 && x.Remaining < 0:
		parts = append(parts, "its quota is not known")
	default:
		parts = append(parts, fmt.Sprintf("%s of %s%s remain", number(x.Remaining), number(x.Quota.Quota), unit(x.Unit)))
	}
	if x.Quota.Quota >= 0 {
		parts = append(parts, "the quota is "+told(x.Provenance)+restsOn(x.Confidence))
	}
	state := standing(&x.Quota)
	if x.CooldownReason != "" {
		state += fmt.Sprintf(" (%s)", printable(x.CooldownReason))
	}
	if x.Whose != "" {
		state += "; why this one: " + printable(x.Whose)
	}
	return strings.Join(append(parts, state), ", ")
}

// told is who told a quota.
func told(provenance string) string {
	switch provenance {
	case "told":
		return "told by the upstream"
	case "nobody":
		return "not known"
	default:
		return provenance
	}
}

// restsOn is what a learned quota rests on.
func restsOn(c *quotaadmin.Confidence) string {
	if c == nil {
		return ""
	}
	text := ": more was taken than was ever refused"
	switch {
	case c.Confirmed > 0:
		text = fmt.Sprintf(": the upstream refused at this number %s, last %s ago", times(c.Confirmed), span(c.ConfirmedAgo))
	case c.Siblings > 0:
		text = fmt.Sprintf(": the buckets of other users learned it, %d more than learned another", c.Siblings)
	}
	if c.Full > 0 {
		text += fmt.Sprintf("; used up %s since without a refusal", times(c.Full))
	}
	return text
}

// numbers are those of the model, in words.
func numbers(x *quotaadmin.Bucket) []string {
	if x.Model.Gate {
		return nil
	}
	lines := []string{remaining(x)}
	if x.Model.Sliding {
		lines = append(lines, fmt.Sprintf("our own count: %d within the last period; each unit counts for a period, because the window slides or nobody told its begin", x.Model.Counted))
	} else {
		lines = append(lines, fmt.Sprintf("our own count: %d in this window, which began %s ago for us", x.Model.Counted, span(x.Model.BeganAgo)))
	}
	if x.Outstanding > 0 {
		lines = append(lines, fmt.Sprintf("on their way: %d, with %d permits that are not settled", x.Model.Held, x.Outstanding))
	}
	if x.Others > 0 {
		lines = append(lines, fmt.Sprintf("others: the upstream counted %d that nobody acquired", x.Others))
	}
	if x.OthersToday > 0 {
		lines = append(lines, fmt.Sprintf("others today: %d were not ours", x.OthersToday))
	}
	for _, c := range x.LearnedCosts {
		lines = append(lines, "learned: "+learnedCost(c))
	}
	if x.Window != "" || x.FoundWindow != "" {
		lines = append(lines, "window: "+window(&x.Quota))
	}
	lines = append(lines, end(x))
	if x.EndsAfter != nil && *x.EndsAfter > 0 {
		lines = append(lines, "forecast: at the pace of this window the quota ends in "+span(x.EndsAfter))
	}
	return lines
}

// learnedCost is what calls of an endpoint take that nobody says.
func learnedCost(c quotaadmin.LearnedCost) string {
	calls, from := "calls without an endpoint", "callers reported it"
	if c.Endpoint != "" {
		calls = "calls of " + printable(c.Endpoint)
	}
	if c.Answers > 0 {
		from = fmt.Sprintf("%d of the last answers show it by what remained", c.Answers)
	}
	return fmt.Sprintf("%s take %d each: %s", calls, c.Cost, from)
}

// remaining is what the upstream's numbers leave.
func remaining(x *quotaadmin.Bucket) string {
	m := &x.Model
	if m.Confirmed < 0 {
		return "the upstream's count: no number of it bounds what remains"
	}
	text := fmt.Sprintf("the upstream's count: %d remain as the quota has it, no response told it in this window", m.Confirmed)
	if m.ConfirmedAgo != nil {
		text = fmt.Sprintf("the upstream's count: %d remained as of %s ago, the lowest that was told", m.Confirmed, span(m.ConfirmedAgo))
	}
	if m.Uncovered > 0 {
		text += fmt.Sprintf("; %d spent without numbers may not be in it", m.Uncovered)
	}
	if m.Doubtful {
		text += "; it fell further than our calls explain, so one answer raises it again"
	}
	return text
}

// end is when the window ends.
func end(x *quotaadmin.Bucket) string {
	m := &x.Model
	if m.EndsAfterMost == nil {
		return "end of the window: not known"
	}
	text := "end of the window: in " + between(m.EndsAfterLeast, m.EndsAfterMost)
	if m.Pad != nil && *m.Pad > 0 {
		text += fmt.Sprintf(", and %s later for us, because we once were early", span(m.Pad))
	}
	return text
}

// caller is a service by its name.
func caller(s string) string {
	if s == "" {
		return "somebody"
	}
	return printable(s)
}

// waiting is who stands before the call.
func waiting(x *quotaadmin.Bucket) string {
	if x.AheadCount == 0 {
		return "nobody stands before this call here"
	}
	var names []string
	for _, w := range x.Ahead {
		names = append(names, fmt.Sprintf("%s (%s, for %s)", caller(w.Caller), w.Priority, span(w.Waited)))
	}
	if more := x.AheadCount - int64(len(x.Ahead)); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("%d stand before this call here: %s", x.AheadCount, strings.Join(names, ", "))
}

// report is one report and what was made of it.
func report(e *quotaadmin.Evidence) string {
	text := fmt.Sprintf("%s ago by %s, of a call granted %s ago: %s", span(e.HeardAgo), caller(e.Caller), span(e.GrantedAgo), e.Verdict)
	if e.Quota > 0 {
		text += fmt.Sprintf(", limit %d", e.Quota)
	}
	if e.Remaining >= 0 {
		text += fmt.Sprintf(", %d remain", e.Remaining)
	}
	if e.ResetAfterMost != nil {
		text += ", resets in " + between(e.ResetAfterLeast, e.ResetAfterMost)
	}
	return text + ": " + printable(e.Effect)
}
