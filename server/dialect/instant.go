package dialect

import (
	"strings"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// How times are judged.
const (
	// maxSkew is how far a Date may be from when the response came in: a clock
	// that is off by a time zone, and some. Further off it is stale.
	maxSkew = 2 * time.Hour
	// dateSlack is the slack of an instant less a Date, and dateMiddle how far the
	// truth lies before their difference in the middle: the instant may have been
	// rounded either way, a Date is always cut to the second.
	dateSlack  = 1500 * time.Millisecond
	dateMiddle = 500 * time.Millisecond
	// localSlack is the slack of an instant that had to be measured from the
	// broker's own clock.
	localSlack = 2 * time.Second
	// farthest is how far ahead a reset can be.
	farthest = 366 * 24 * time.Hour

	// leastEpoch is the least number that can be a Unix time: 2001. A duration
	// of as many seconds would be 31 years.
	leastEpoch = 1_000_000_000
	// Below mostSeconds a Unix time is in seconds, from leastMillis to below
	// mostMillis in milliseconds; in between it is neither.
	mostSeconds = 100 * leastEpoch
	leastMillis = 1000 * leastEpoch
	mostMillis  = 1000 * mostSeconds
)

// clock is what instants of one response are measured from.
type clock struct {
	made  time.Time // zero when there is nothing to measure from
	slack time.Duration
}

// newClock takes the response's Date when that is plausible, else the instant
// at which it was received.
func newClock(date string, received time.Time) clock {
	if made, ok := parseDate(date); ok && (received.IsZero() || made.Sub(received).Abs() <= maxSkew) {
		return clock{made: made}
	}
	return clock{made: received, slack: localSlack}
}

// told is a time as a response wrote it: an instant or, when at is zero, a
// duration.
type told struct {
	after time.Duration
	at    time.Time
	epoch int64
	slack time.Duration
}

// ahead is how far ahead a time is, 0 when it is past, and the slack that
// measuring it brings in.
func (c clock) ahead(t told) (after, slack time.Duration, reason string) {
	if t.at.IsZero() {
		return max(t.after, 0), t.slack, ""
	}
	if c.made.IsZero() {
		return 0, 0, "an instant, and nothing to measure it from"
	}
	return max(t.at.Sub(c.made), 0), max(t.slack, c.slack), ""
}

// reset makes a reset of a time.
func (c clock) reset(t told) (quota.Reset, string) {
	after, slack, reason := c.ahead(t)
	if reason == "" && after > farthest {
		reason = "more than 366 days ahead"
	}
	if reason != "" {
		return quota.Reset{}, reason
	}
	if !t.at.IsZero() && c.slack == 0 {
		after, slack = max(0, after-dateMiddle), max(slack, dateSlack)
	}
	return quota.Reset{Known: true, After: after, Slack: slack, Epoch: t.epoch}, ""
}

// parseSeconds reads a time that can only be seconds to go.
func parseSeconds(s string) (told, string) {
	d, reason := parseDecimal(s)
	return told{after: d.seconds()}, reason
}

// parseTime reads a time of any kind, by the rule in the package's comment.
func parseTime(s string) (told, string) {
	if d, reason := parseDecimal(s); reason == "" {
		return guessTime(d)
	}
	if d, err := time.ParseDuration(s); err == nil {
		return told{after: max(d, 0)}, ""
	}
	if at, ok := parseDate(s); ok {
		return told{at: at, epoch: at.Unix()}, ""
	}
	upper := strings.ToUpper(s)
	for _, layout := range [...]string{time.RFC3339, "2006-01-02T15:04:05Z0700"} {
		if at, err := time.Parse(layout, upper); err == nil {
			return told{at: at, epoch: at.UnixMilli()}, ""
		}
	}
	if at, err := time.Parse("2006-01-02T15:04Z07:00", upper); err == nil {
		return told{at: at, epoch: at.UnixMilli(), slack: time.Minute}, ""
	}
	return told{}, "neither a duration nor an instant"
}

// guessTime says by a number's size what it is.
func guessTime(d decimal) (told, string) {
	switch {
	case d.neg || d.whole < leastEpoch:
		return told{after: d.seconds()}, ""
	case d.whole < mostSeconds && d.nano == 0:
		return told{at: time.Unix(d.whole, 0), epoch: d.whole}, ""
	case d.whole < mostSeconds:
		at := time.Unix(d.whole, d.nano)
		return told{at: at, epoch: at.UnixMilli()}, ""
	case d.whole >= leastMillis && d.whole < mostMillis:
		return told{at: time.UnixMilli(d.whole), epoch: d.whole}, ""
	}
	return told{}, "neither a plausible duration nor a plausible instant"
}

// parseDate reads the three forms of an HTTP date, and the one with a numeric
// zone that mail has. "GMT" is spelled out: of another zone's letters Go would
// make one without an offset.
func parseDate(s string) (time.Time, bool) {
	if len(s) < len("Mon Jan  2 15:04:05 2006") {
		return time.Time{}, false
	}
	for _, layout := range [...]string{
		"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC, time.RFC1123Z,
	} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// splitTimes yields the times of a list, split at its commas except for the one
// after the day of an HTTP date.
func splitTimes(s string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		day := ""
		for part := range strings.SplitSeq(s, ",") {
			part = strings.TrimSpace(part)
			switch {
			case day != "":
				part, day = day+", "+part, ""
			case isDay(part):
				day = part
				continue
			}
			if !yield(part) {
				return
			}
		}
		if day != "" {
			yield(day)
		}
	}
}

// inSeconds is a time that many seconds ahead.
func inSeconds(n int64) told { return told{after: wholeDecimal(n).seconds()} }

// parseSpan reads a duration: seconds, or as Go writes it.
func parseSpan(s string) (told, string) {
	if t, reason := parseSeconds(s); reason == "" {
		return t, ""
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return told{}, "not a duration"
	}
	return told{after: max(d, 0)}, ""
}

// isDay reports whether s is the day of the week with which a date begins.
func isDay(s string) bool {
	const days = "Mon Tue Wed Thu Fri Sat Sun"
	return len(s) >= 3 && strings.Contains(days, s[:3]) && (len(s) == 3 || strings.HasSuffix(s, "day"))
}
