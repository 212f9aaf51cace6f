package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

const (
	// gather is how long an alert of many users waits for the others before it
	// is first told.
	gather = 30 * time.Second
	// maxExamples bounds the buckets that a notice names.
	maxExamples = 5
)

// subject is what an alert is about: a rule, and a bucket, or all buckets of
// a limit that count by user.
type subject struct {
	mark
	bucketID
}

// id is the same text for the same subject, in every process. It has no user.
func (s subject) id() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%v|%d|%d|%q|%v", s.rule, s.threshold, s.mark.quota, s.limit, s.key))
	return hex.EncodeToString(sum[:8])
}

// member is one latch that fires.
type member struct {
	bucketID
	mark mark
}

// alert is what is or will be told of one subject.
type alert struct {
	subject
	// shared is true where the buckets of all users are one alert.
	shared  bool
	members map[member]struct{}
	// since is when the first member came, began when people were told, told how
	// many members there were when they last were; 0 when they were not yet.
	since, began time.Time
	told         int
}

// note adds or removes a member.
func (a *alert) note(now time.Time, m member, firing bool) {
	if len(a.members) == 0 {
		a.since = now
	}
	if firing {
		a.members[m] = struct{}{}
	} else {
		delete(a.members, m)
	}
}

// stage is what is to be told of the alert now, false when that is nothing. What
// has just been told to fire is not over for a while, even if it was told late.
func (a *alert) stage(now time.Time) (Stage, bool) {
	switch n := len(a.members); {
	case a.told > 0 && n == 0:
		return Resolved, now.Sub(a.began) >= settleFor
	case a.told > 0 && n >= 10*a.told:
		return Grown, true
	case a.told == 0 && n > 0 && (!a.shared || now.Sub(a.since) >= gather):
		return Firing, true
	}
	return 0, false
}

// notice puts what is to be told into words.
func (k *Book) notice(now time.Time, a *alert, stage Stage) Notice {
	n := Notice{
		Subject: a.id(), Stage: stage, Rule: a.rule, Threshold: a.threshold,
		At: now, Began: a.began, Buckets: len(a.members),
		Status: quota.Status{Limit: a.limit, Key: a.key},
	}
	n.Alert = fmt.Sprintf("%s-%x", n.Subject, a.began.Unix())
	n.ID = n.Alert + "-" + stage.String()
	if stage == Grown {
		n.ID += fmt.Sprint("-", n.Buckets)
	}
	if a.shared {
		n.Examples = k.examples(a)
		n.Summary = aboutUsers(&n)
		return n
	}
	if b := k.buckets[a.bucketID]; b != nil {
		n.Status = b.last
		if a.rule == Forecast && stage != Resolved {
			n.RunsOutAt = b.runsOut(now)
		}
		if a.rule == LimitChanged {
			n.Was = b.was
		}
		n.Summary = aboutBucket(&n, b.over(now))
	}
	return n
}

// examples names some members, always the same ones of the same members.
func (k *Book) examples(a *alert) []string {
	var names []string
	for m := range a.members {
		if name := k.settings.name(m.key); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names[:min(len(names), maxExamples)]
}

// name is a bucket of a user as notices show it, "" when that is nothing.
func (s *Settings) name(key quota.Scope) string {
	parts := make([]string, 0, 2)
	if user := s.Users.show(key.User); user != "" {
		parts = append(parts, user)
	}
	if key.Endpoint != "" {
		parts = append(parts, key.Endpoint)
	}
	for name, value := range key.Labels.All {
		parts = append(parts, name+" "+value)
	}
	return strings.Join(parts, ", ")
}

// sortNotices orders what was found in no order; what there is to say of one
// alert stays in its order.
func sortNotices(list []Notice) {
	slices.SortStableFunc(list, func(a, b Notice) int { return strings.Compare(a.Alert, b.Alert) })
}
