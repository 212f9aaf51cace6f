package dialect

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// linkedin reads the API of LinkedIn. Its documentation names no field at all:
// quotas are by endpoint for an application and for each of its members, are
// not published, and begin anew at midnight UTC. The text of a 429 says which
// of the two it was and over what time. Guides for integrators print
// X-RateLimit-* fields with seconds to go; where there are such they are read.
type linkedin struct{}

// protection is how long to leave LinkedIn alone when it protects itself: it
// says that it then returns to normal by itself.
const protection = 60 * time.Second

// throttled is what the text of a 429 says when a quota is spent; in its old
// wording there is neither scope nor window. Status and code differ between
// reports of the same text, so nothing else is matched.
var throttled = regexp.MustCompile(`(?i)resource level throttle((?: \w{1,32}){0,4}?) limit\b`)

// day is the window of both quotas.
func day() quota.Window { return quota.Window{Kind: quota.Calendar, Unit: quota.Day} }

// Name is "linkedin".
func (linkedin) Name() string { return "linkedin" }

// Wants is what "auto" does.
func (linkedin) Wants() Wants { return auto{}.Wants() }

// Limits is a quota a day for the application and one for each member, both by
// endpoint and both to be learned.
func (linkedin) Limits() []quota.Limit {
	return []quota.Limit{
		{Name: "app-day", Per: quota.Parts{Endpoint: true}, Window: day()},
		{Name: "member-day", Per: quota.Parts{User: true, Endpoint: true}, Window: day()},
	}
}

// Read takes the text of a 429 besides what "auto" reads. A 429 of which
// neither tells a quota is LinkedIn protecting itself.
func (d linkedin) Read(resp Response) Reading {
	r := newReader(resp, d.Wants())
	reading := r.answer(resp, r.read(parseTime))
	a := &reading.Answer
	if a.Verdict != quota.Refused {
		return reading
	}
	m := throttled.FindSubmatch(resp.Body[:min(len(resp.Body), maxBody)])
	switch {
	case m != nil:
		a.Reason = string(m[0])
		if !r.cached && len(a.Observations) < maxObservations {
			a.Observations = append(a.Observations, throttle(string(m[1])))
		}
	case len(a.Observations) == 0:
		a.Verdict, a.Backoff = quota.Overloaded, protection
		a.Reason = "429 Too Many Requests that names no quota: infrastructure protection"
	}
	return reading
}

// throttle is the bucket that the text's words name. Words that are not known
// leave open what they would have said; the quotas are by day unless the text
// names another time, of which a number before it says how many.
func throttle(words string) quota.Observation {
	o := quota.Observation{Blocked: true, Window: day()}
	n := 1
	for w := range strings.FieldsSeq(strings.ToUpper(words)) {
		switch w {
		case "APPLICATION":
			o.Says, o.Per = true, quota.Parts{Endpoint: true}
		case "APPLICATION_AND_MEMBER", "MEMBER":
			o.Says, o.Per = true, quota.Parts{User: true, Endpoint: true}
		case "SECOND":
			o.Window = fixed(times(n, time.Second))
		case "MINUTE":
			o.Window = fixed(times(n, time.Minute))
		case "HOUR":
			o.Window = fixed(times(n, time.Hour))
		default:
			if many, err := strconv.ParseUint(w, 10, 16); err == nil {
				n = int(max(1, many))
			}
		}
	}
	return o
}

func times(n int, unit time.Duration) time.Duration { return time.Duration(n) * unit }
