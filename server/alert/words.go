package alert

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// aboutBucket is what there is to say of one bucket: what, how much, until when,
// and what to do. Over says that its window has ended since it was last seen.
func aboutBucket(n *Notice, over bool) string {
	if n.Stage == Resolved {
		return place(&n.Status) + ": " + bucketOver(n, over)
	}
	return place(&n.Status) + ": " + bucketFires(n)
}

func bucketFires(n *Notice) string {
	s := &n.Status
	switch n.Rule {
	case Remaining:
		return remains(n)
	case Cooldown:
		return fmt.Sprintf("the upstream said to wait%s. Nothing is sent until %s. The broker holds every caller back "+
			"by itself; if this comes often, somebody else may use the same credentials, or the limit is lower than it is thought to be.",
			because(s.CoolReason), moment(n.At, s.CoolUntil))
	case LimitChanged:
		return fmt.Sprintf("the upstream now %s %s a window, before it was %s. The broker goes by that; "+
			"correct the configuration if it has the old number, and check the plans that count on it.",
			says(s.Provenance), amount(s.Quota, s.Unit), count(n.Was))
	case Others:
		return fmt.Sprintf("%s of the %s in this window were spent by somebody who does not ask the broker (%s). "+
			"Find who uses these credentials directly, and let them ask the broker or have credentials of their own.",
			count(s.Others), amount(s.Quota, s.Unit), percent(s.Others, s.Quota))
	default:
		return fmt.Sprintf("at this pace the quota ends at %s, %s before it resets at %s: %s of %s are left. "+
			"Slow down or put off what can wait, or ask the provider for more.",
			moment(n.At, n.RunsOutAt), span(s.ResetAt.Sub(n.RunsOutAt)), clock(n.At, s.ResetAt), count(s.Remaining), amount(s.Quota, s.Unit))
	}
}

// says is how the upstream makes a quota known.
func says(p quota.Provenance) string {
	if p == quota.Learned {
		return "refuses after"
	}
	return "tells"
}

func remains(n *Notice) string {
	s := &n.Status
	until := "as far as is known it does not come back by itself"
	switch {
	case !s.ResetAt.IsZero():
		until = "it resets at " + moment(n.At, s.ResetAt)
	case s.Period > 0:
		until = "it comes back over " + span(s.Period)
	}
	if s.Remaining == 0 {
		return fmt.Sprintf("the quota of %s is used up; %s. Callers wait or are denied until then: "+
			"stop what can wait, or ask the provider for more.", amount(s.Quota, s.Unit), until)
	}
	return fmt.Sprintf("%s of %s are left, %s, which is less than %v; %s. "+
		"When none is left callers are denied: put off what can wait.",
		count(s.Remaining), amount(s.Quota, s.Unit), percent(s.Remaining, s.Quota), n.Threshold, until)
}

func bucketOver(n *Notice, over bool) string {
	s := &n.Status
	lasted := "after " + span(n.At.Sub(n.Began))
	switch n.Rule {
	case Cooldown:
		if s.State != quota.Open {
			return fmt.Sprintf("the cool-down has ended, and nobody has called since to see whether the upstream answers again (%s).", lasted)
		}
		return fmt.Sprintf("the cool-down is over, calls go out again (%s).", lasted)
	case LimitChanged:
		return fmt.Sprintf("the quota has not changed again for an hour: it is %s.", amount(s.Quota, s.Unit))
	case Others:
		return fmt.Sprintf("hardly anything is spent by others any more (%s).", lasted)
	case Forecast:
		if over {
			return fmt.Sprintf("the window has ended, the quota is whole again (%s).", lasted)
		}
		return fmt.Sprintf("at the present pace the quota lasts until it resets (%s).", lasted)
	default:
		if over {
			return fmt.Sprintf("the window has ended, the quota of %s is whole again (%s).", amount(s.Quota, s.Unit), lasted)
		}
		return fmt.Sprintf("%s of %s are left again (%s).", count(s.Remaining), amount(s.Quota, s.Unit), lasted)
	}
}

// aboutUsers is what there is to say of many users of one limit.
func aboutUsers(n *Notice) string {
	who := place(&n.Status) + ": "
	if n.Stage == Resolved {
		return who + fmt.Sprintf("no user is concerned any more: %s (after %s).", userOver(n), span(n.At.Sub(n.Began)))
	}
	such := ""
	if len(n.Examples) > 0 {
		such = " (such as " + strings.Join(n.Examples, "; ") + ")"
	}
	return who + users(n.Buckets) + such + " " + userFires(n)
}

func userFires(n *Notice) string {
	switch n.Rule {
	case Remaining:
		return fmt.Sprintf("with less than %v of the quota left. Calls for them are denied when none is left; the others go on.", n.Threshold)
	case Cooldown:
		return "for whom the upstream said to wait. The broker holds their callers back by itself."
	case LimitChanged:
		return "whose quota is another than before: the upstream tells so, or refuses at another number. The broker goes by that."
	default:
		return "whose quota is spent by somebody who does not ask the broker as well. Find who calls for them directly."
	}
}

func userOver(n *Notice) string {
	switch n.Rule {
	case Remaining:
		return "their quotas have room again"
	case Cooldown:
		return "calls for them go out again"
	case LimitChanged:
		return "their quotas have not changed again for an hour"
	default:
		return "hardly anything is spent by others"
	}
}

// place says which API, application and limit.
func place(s *quota.Status) string {
	parts := []string{s.Key.API}
	if s.Key.App != "" {
		parts = append(parts, "app "+s.Key.App)
	}
	limit := "limit " + s.Limit
	if s.Key.Endpoint != "" {
		limit += " of " + s.Key.Endpoint
	}
	parts = append(parts, limit)
	for name, value := range s.Key.Labels.All {
		parts = append(parts, name+" "+value)
	}
	return strings.Join(parts, ", ")
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + strings.TrimRight(reason, ".") + ")"
}

func users(n int) string {
	if n == 1 {
		return "1 user"
	}
	return count(int64(n)) + " users"
}

func amount(n int64, unit string) string { return count(n) + " " + unit }

// count groups the digits by thousands.
func count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && digits[i-1] != '-' && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

func percent(n, of int64) string {
	return strconv.FormatFloat(float64(n)/float64(of)*100, 'f', 1, 64) + "%"
}

// moment is an instant, and how far away it is.
func moment(now, t time.Time) string {
	return fmt.Sprintf("%s (in %s)", clock(now, t), span(t.Sub(now)))
}

// clock is an instant in UTC, with its day where that is not today, and with
// its seconds where they matter.
func clock(now, t time.Time) string {
	now, t = now.UTC(), t.UTC()
	layout := "15:04 UTC"
	if t.Sub(now).Abs() < 10*time.Minute {
		layout = "15:04:05 UTC"
	}
	if now.YearDay() != t.YearDay() || now.Year() != t.Year() {
		layout += " on 2 January"
	}
	return t.Format(layout)
}

// span is a duration as people say it: its two greatest parts.
func span(d time.Duration) string {
	d = max(0, d.Round(time.Second))
	parts := []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	for i, p := range parts {
		if d < p.unit || i == len(parts)-1 {
			continue
		}
		next := parts[i+1]
		text := strconv.FormatInt(int64(d/p.unit), 10) + p.name
		if rest := d % p.unit / next.unit; rest > 0 {
			text += " " + strconv.FormatInt(int64(rest), 10) + next.name
		}
		return text
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}
