package alert

import (
	"slices"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// Bounds of a [Book].
const (
	// MaxBuckets is the greatest number of buckets that a book keeps. It forgets
	// those of which there is nothing to say to make room.
	MaxBuckets = 100_000
	// forgetAfter is how long a bucket is kept that is not heard of: longer than
	// any window.
	forgetAfter = 35 * 24 * time.Hour
	// maxChanges is how many changes of one bucket's limit are told within an hour.
	maxChanges = 16
)

// Book knows what has been said, and what there is to say. It is not safe for
// concurrent use.
type Book struct {
	settings Settings
	most     int
	buckets  map[bucketID]*bucket
	alerts   map[subject]*alert
	// moved is the alerts that won or lost a bucket and have not spoken since.
	moved  []*alert
	missed int64
}

// NewBook makes an empty book.
func NewBook(s Settings) *Book {
	return &Book{
		settings: s.completed(), most: MaxBuckets,
		buckets: make(map[bucketID]*bucket), alerts: make(map[subject]*alert),
	}
}

// Missed is how many statuses were not looked at because the book was full.
func (k *Book) Missed() int64 { return k.missed }

// See takes the present status of a bucket and returns what there is to say.
func (k *Book) See(now time.Time, s quota.Status) []Notice {
	id := bucketID{s.Limit, s.Key}
	b := k.buckets[id]
	if b == nil {
		if len(k.buckets) >= k.most {
			k.missed++
			return nil
		}
		b = &bucket{}
		k.buckets[id] = b
	}
	was := b.see(now, s)
	p := k.settings.planFor(s.Key.API, s.Limit)
	if was > 0 && p.has(LimitChanged) && b.changes() < maxChanges {
		b.was = was
		k.step(now, id, b, mark{rule: LimitChanged, quota: s.Quota}, bad, patience{})
	}
	k.judge(now, id, b, p)
	var told []Notice
	for _, a := range k.moved {
		told = append(told, k.speak(now, a)...)
	}
	k.moved = k.moved[:0]
	return told
}

// Tick does what time alone does, and returns what there is to say. It looks at
// every bucket: every few seconds is often enough.
func (k *Book) Tick(now time.Time) []Notice {
	for id, b := range k.buckets {
		if len(b.latches) > 0 || id.key.User == "" {
			k.judge(now, id, b, k.settings.planFor(id.key.API, id.limit))
		}
	}
	k.moved = k.moved[:0]
	var told []Notice
	for _, a := range k.alerts {
		told = append(told, k.speak(now, a)...)
	}
	k.forget(now)
	sortNotices(told)
	return told
}

// judge applies every rule that is in force to the bucket, and to what others
// began.
func (k *Book) judge(now time.Time, id bucketID, b *bucket, p plan) {
	var room [8]mark // on the stack: a tick judges very many
	for _, m := range b.marks(room[:0], p) {
		v, patience := b.judge(now, m, p)
		k.step(now, id, b, m, v, patience)
	}
}

// marks appends what is to be judged: what has begun, and what the plan says.
func (b *bucket) marks(marks []mark, p plan) []mark {
	for _, l := range b.latches {
		marks = append(marks, l.mark)
	}
	add := func(m mark) {
		if !slices.Contains(marks, m) {
			marks = append(marks, m)
		}
	}
	if p.has(Cooldown) {
		add(mark{rule: Cooldown})
	}
	sound := b.last.Quota >= SmallQuota
	if p.has(Forecast) && sound {
		add(mark{rule: Forecast})
	}
	if !p.chosen && (!sound || b.period() > 0 && b.period() < ShortWindow) {
		return marks
	}
	if p.has(Others) {
		add(mark{rule: Others, threshold: p.others})
	}
	if p.has(Remaining) {
		for _, t := range p.thresholds {
			add(mark{rule: Remaining, threshold: t})
		}
	}
	return marks
}

// step moves the latch of a mark, and tells the alert that it is part of.
func (k *Book) step(now time.Time, id bucketID, b *bucket, m mark, v verdict, p patience) {
	i := slices.IndexFunc(b.latches, func(l latch) bool { return l.mark == m })
	if i < 0 {
		if v != bad {
			return
		}
		i = len(b.latches)
		b.latches = append(b.latches, latch{mark: m, since: now})
	}
	e, idle := b.latches[i].step(now, v, p)
	if idle {
		b.latches = slices.Delete(b.latches, i, i+1)
	}
	if e != none {
		a := k.alertOf(id, m)
		a.note(now, member{id, m}, e == fired)
		k.moved = append(k.moved, a)
	}
}

// alertOf is the alert that a mark is part of: one of its own, or for a bucket
// of a user the one of all users of the limit.
func (k *Book) alertOf(id bucketID, m mark) *alert {
	s := subject{m, id}
	if id.key.User != "" {
		s.key = quota.Scope{API: id.key.API, App: id.key.App}
		s.quota = 0
	}
	a := k.alerts[s]
	if a == nil {
		a = &alert{subject: s, shared: id.key.User != "", members: make(map[member]struct{})}
		k.alerts[s] = a
	}
	return a
}

// speak is what the alert has to say now. One that is over is forgotten.
func (k *Book) speak(now time.Time, a *alert) []Notice {
	stage, ok := a.stage(now)
	if len(a.members) == 0 && (ok || a.told == 0) {
		delete(k.alerts, a.subject)
	}
	if !ok {
		return nil
	}
	if stage == Firing {
		a.began = now
	}
	a.told = len(a.members)
	return []Notice{k.notice(now, a, stage)}
}

// forget drops the buckets of which there is nothing to say, and that are not
// needed to see a change.
func (k *Book) forget(now time.Time) {
	crowded := len(k.buckets) > k.most/4*3
	for id, b := range k.buckets {
		spare := now.Sub(b.seen) > forgetAfter || crowded && (b.over(now) || id.key.User != "")
		if len(b.latches) == 0 && spare {
			delete(k.buckets, id)
		}
	}
}
