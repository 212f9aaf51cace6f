package dialect

import (
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// The status codes that can be a refusal.
const (
	statusTooManyRequests    = 429
	statusServiceUnavailable = 503
)

// wants is the given fields, those that every dialect reads, and the bodies of
// errors.
func wants(names ...string) Wants {
	return Wants{Headers: append(names, "retry-after", "date", "age", "x-from-cache"), Body: ErrorBody}
}

// answer makes a reading of the observations that a dialect found, and of what
// all dialects read alike.
func (r *reader) answer(resp Response, observations []quota.Observation) Reading {
	wait, asked := r.retryAfter()
	a := quota.Answer{Verdict: verdict(resp.Status, asked)}
	switch a.Verdict {
	case quota.Refused:
		a.RetryAfter, a.Reason = wait, "429 Too Many Requests"
	case quota.Overloaded:
		a.RetryAfter, a.Reason = wait, "503 Service Unavailable, with Retry-After"
	default:
		if asked {
			r.ignore("retry-after", "only that of a 429 or a 503 is about a quota")
		}
	}
	if !r.cached {
		a.Observations = r.news(observations, &a)
		violated(resp, &a)
	}
	return Reading{Answer: a, Ignored: r.ignored}
}

// verdict is what the status says of the call.
func verdict(status int, asked bool) quota.Verdict {
	switch {
	case status == statusTooManyRequests:
		return quota.Refused
	case status == statusServiceUnavailable && asked:
		return quota.Overloaded
	}
	return quota.Passed
}

// news drops observations that say nothing, and marks those that tell why the
// call was refused. A refusal that tells no more than a reset means it as the
// time to wait.
func (r *reader) news(all []quota.Observation, a *quota.Answer) []quota.Observation {
	var news []quota.Observation
	var lone quota.Reset
	for _, o := range all {
		if o.Quota == 0 && o.Remaining == quota.Unknown {
			if lone = o.Reset; lone.Known {
				r.ignore("reset", "a reset without a limit or what is left of it")
			}
			continue
		}
		if len(news) == maxObservations {
			r.ignore("", "more than 16 limits")
			break
		}
		o.Blocked = o.Blocked || a.Verdict == quota.Refused && o.Remaining == 0
		news = append(news, o)
	}
	if a.Verdict != quota.Passed && a.RetryAfter == 0 && len(news) == 0 {
		a.RetryAfter = min(lone.After, quota.DefaultMaxReset)
	}
	return news
}

// fromCache reports whether the response came out of a cache.
func (r *reader) fromCache() bool {
	for age := range r.values("age") {
		d, reason := parseDecimal(age)
		if reason != "" {
			r.ignore("age", reason)
		} else if (decimal{}).less(d) {
			r.ignore("age", "out of a cache: no news")
			return true
		}
	}
	for from := range r.values("x-from-cache") {
		if from != "" && from != "0" && from != "false" {
			r.ignore("x-from-cache", "out of a cache: no news")
			return true
		}
	}
	return false
}

// retryAfter is the longest wait that was asked for, and whether one was asked
// for at all, even in words that are not understood.
func (r *reader) retryAfter() (longest time.Duration, asked bool) {
	n := 0
	for value := range r.values("retry-after") {
		asked = true
		for s := range splitTimes(value) {
			if n++; n > maxWaits {
				r.ignore("retry-after", "too many members")
				return longest, asked
			}
			longest = max(longest, r.wait(s))
		}
	}
	return longest, asked
}

// wait is one Retry-After, at most [quota.DefaultMaxReset].
func (r *reader) wait(s string) time.Duration {
	t, reason := parseTime(s)
	after, _, unmeasured := r.clock.ahead(t)
	if reason == "" {
		reason = unmeasured
	}
	if reason != "" {
		r.ignore("retry-after", reason)
		return 0
	}
	return min(after, quota.DefaultMaxReset)
}
