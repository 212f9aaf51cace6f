package simulate

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Headers is what an upstream says of its quotas. The zero value is the guide's.
type Headers struct {
	Style Style `yaml:"style"`
	// Which is whose numbers an answer has.
	Which Which `yaml:"which"`
	// Reset is how the guide's style says a reset.
	Reset ResetForm `yaml:"reset"`
	Round Rounding  `yaml:"round"`
	// Date adds a Date field; with epochs there always is one.
	Date bool `yaml:"date"`
	// RetryAfter adds that field to refusals.
	RetryAfter bool `yaml:"retry_after"`
}

// Style is how an upstream spells its quotas.
type Style string

// The styles; the zero value is [Guide].
const (
	// Guide is X-RateLimit-Limit, -Remaining and -Reset. Of several buckets each
	// has its limit's name behind that.
	Guide Style = "guide"
	// NoReset is the guide's without the reset.
	NoReset Style = "no_reset"
	// Meta is X-App-Usage: the share that is used in percent, and no reset.
	Meta Style = "meta"
	// IETF is RateLimit-Policy and RateLimit of draft-ietf-httpapi-ratelimit-headers-10.
	IETF Style = "ietf"
	// RetryAfter is that field alone, with refusals.
	RetryAfter Style = "retry_after"
	// LinkedIn is no field at all; the text of a refusal names scope and window.
	LinkedIn Style = "linkedin"
	// Silent is neither fields nor text.
	Silent Style = "none"
)

func (Style) choices() []string {
	return []string{"guide", "no_reset", "meta", "ietf", "retry_after", "linkedin", "none"}
}

// Which is whose numbers an answer has.
type Which string

// The choices of buckets; the zero value is [Tightest].
const (
	// Tightest is the one with the smallest share left, of several the one that
	// resets last.
	Tightest Which = "tightest"
	// All is each that counts the call.
	All Which = "all"
)

func (Which) choices() []string { return []string{"tightest", "all"} }

// ResetForm is how a reset is told.
type ResetForm string

// The forms of a reset; the zero value is [Delta].
const (
	// Delta is the seconds to go.
	Delta ResetForm = "delta"
	// Epoch is the second since 1970, by the upstream's clock.
	Epoch ResetForm = "epoch"
)

func (ResetForm) choices() []string { return []string{"delta", "epoch"} }

// told is what an answer says of one bucket.
type told struct {
	rule  *rule
	limit int64
	left  int64
	// nan is true when what is left is no number.
	nan bool
	// resets is an instant in nanoseconds since the Unix epoch, never before now.
	resets int64
}

// write puts the fields and the text into an answer.
func (u *Upstream) write(a *Answer, now int64, counting []*bucket) {
	h := &u.api.Headers
	if a.Status == StatusTooManyRequests && h.Style == LinkedIn {
		a.Body = u.refusing[0].rule.sentence
	}
	if h.Style == LinkedIn || h.Style == Silent || len(counting) == 0 || u.dropped() {
		return
	}
	var of [8]told
	a.Headers = u.spell(now, u.said(now, counting, of[:0]))
	if a.Status == StatusTooManyRequests && (h.RetryAfter || h.Style == RetryAfter) {
		a.Headers = append(a.Headers, Header{"Retry-After", u.until(now, u.refusedUntil(now), Delta)})
	}
	if h.Date || h.Reset == Epoch {
		a.Headers = append(a.Headers, Header{"Date", u.dates.at(now + int64(u.api.Clock.Skew+u.api.Clock.Date))})
	}
}

// refusedUntil is when the last of the buckets that refused resets.
func (u *Upstream) refusedUntil(now int64) int64 {
	until := now
	for _, b := range u.refusing {
		until = max(until, b.meter.resets(now))
	}
	return until
}

// said is what the answer says, its noise included.
func (u *Upstream) said(now int64, counting []*bucket, all []told) []told {
	var tightest *bucket
	for _, b := range counting {
		if u.api.Headers.Which == All {
			all = append(all, u.noisy(now, b))
		} else if tightest == nil || b.tighterThan(tightest, now) {
			tightest = b
		}
	}
	if tightest != nil {
		all = append(all, u.noisy(now, tightest))
	}
	return all
}

// spell makes fields of what is said.
func (u *Upstream) spell(now int64, said []told) []Header {
	switch u.api.Headers.Style {
	case RetryAfter:
		return nil
	case IETF:
		return u.spellIETF(now, said)
	default:
	}
	headers := make([]Header, 0, 3*len(said)+2)
	for _, t := range said {
		suffix := ""
		if u.api.Headers.Which == All {
			suffix = "-" + t.rule.Name
		}
		headers = u.spellOne(headers, now, t, suffix)
	}
	return headers
}

func (u *Upstream) spellOne(headers []Header, now int64, t told, suffix string) []Header {
	reset := u.until(now, t.resets, u.api.Headers.Reset)
	switch u.api.Headers.Style {
	case Meta:
		used := 100 * (t.limit - t.left) / max(1, t.limit)
		return append(headers, Header{"X-App-Usage", fmt.Sprintf(`{"call_count":%d,"total_cputime":0,"total_time":0}`, used)})
	case NoReset:
		return append(headers,
			Header{"X-RateLimit-Limit" + suffix, strconv.FormatInt(t.limit, 10)},
			Header{"X-RateLimit-Remaining" + suffix, t.remaining()})
	default:
		return append(headers,
			Header{"X-RateLimit-Limit" + suffix, strconv.FormatInt(t.limit, 10)},
			Header{"X-RateLimit-Remaining" + suffix, t.remaining()},
			Header{"X-RateLimit-Reset" + suffix, reset})
	}
}

func (u *Upstream) spellIETF(now int64, said []told) []Header {
	var policy, state strings.Builder
	for i, t := range said {
		if i > 0 {
			policy.WriteString(", ")
			state.WriteString(", ")
		}
		fmt.Fprintf(&policy, "%q;q=%d", t.rule.Name, t.limit)
		if w := t.rule.seconds(now); w > 0 {
			fmt.Fprintf(&policy, ";w=%d", w)
		}
		fmt.Fprintf(&state, "%q;r=%s;t=%s", t.rule.Name, t.remaining(), u.until(now, t.resets, Delta))
	}
	return []Header{{"RateLimit-Policy", policy.String()}, {"RateLimit", state.String()}}
}

func (t told) remaining() string {
	if t.nan {
		return "NaN"
	}
	return strconv.FormatInt(t.left, 10)
}

// until is an instant as a field has it.
func (u *Upstream) until(now, then int64, form ResetForm) string {
	d := time.Duration(then - now)
	if form == Epoch {
		d = time.Duration(then) + u.api.Clock.Skew
	}
	return strconv.FormatInt(u.api.Headers.Round.seconds(d), 10)
}

// seconds is the length of the rule's window as a policy says it; 0 without one.
func (r *rule) seconds(now int64) int64 {
	w := r.Window
	if w.Calendar != "" {
		began, ends := r.bounds(now)
		return (ends - began) / int64(time.Second)
	}
	if w.Refill > 0 { // the time in which all comes back
		return int64(w.Refill.Seconds() * float64(cmp.Or(w.Burst, r.Quota)) / float64(r.Quota))
	}
	return int64((w.Fixed + w.Sliding + w.Counter) / time.Second)
}

// sentence is LinkedIn's text of a 429.
func sentence(l Limit) string {
	who, over := "APPLICATION", ""
	for _, part := range l.Per {
		if part == "user" {
			who = "APPLICATION_AND_MEMBER"
		}
	}
	if w := l.Window; w.Calendar != "" {
		over = " " + strings.ToUpper(w.Calendar)
	} else if d := w.Fixed + w.Sliding + w.Counter + w.Refill; d > 0 {
		over = fmt.Sprintf(" %.0f SECOND", d.Seconds())
	}
	return fmt.Sprintf(`{"message":"Resource level throttle %s%s limit for calls to this resource is reached.","status":429}`, who, over)
}

// dates keeps the Date of the present second.
type dates struct {
	second int64
	text   string
}

// at is an instant, in nanoseconds since the Unix epoch, as an HTTP date.
func (d *dates) at(now int64) string {
	if second := now / int64(time.Second); second != d.second || d.text == "" {
		d.second = second
		d.text = time.Unix(second, 0).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
	}
	return d.text
}
