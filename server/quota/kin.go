package quota

import "strings"

// The ledger's index of buckets: by limit, then by place, then by user. What
// buckets have in common is kept once, where a million of them find it.

// family is all buckets of one limit.
type family struct {
	tally Tally
	// tempo bounds a period that nobody tells.
	tempo tempo
	// home is the ledger's API and application.
	home *Scope
	// gate is true for buckets that have no quota and only cool down.
	gate bool
	// kins is by place.
	kins map[string]*kin
	// costs is what calls take that do not say it, by endpoint, as their reports have
	// it; overall is that of all, as numbers do. Nil while nothing was learned.
	costs   map[string]*estimate
	overall *estimate
	// weights is how many requests a call takes, by endpoint; nil as long as numbers
	// never fell by more than one for each.
	weights map[string]*weight
	// kept is what is recorded of these, by endpoint.
	kept map[string]keptCost
	// finding is what answers show of windows that are not declared; nil when there
	// is nothing to find out, or nothing was told.
	finding *finding
}

// kin is the buckets of a limit that differ by their user alone.
type kin struct {
	*family

	rule *Limit
	// place is what they have in common of their key: see placeOf.
	place string
	// only is the bucket of a limit that is not counted by user; nil when there is none.
	only *Bucket
	// people is nil for a limit that is not counted by user.
	*people
}

// people is the buckets of a limit that is counted by user.
type people struct {
	users map[string]*Bucket
	// siblings is what those of a limit that learns taught each other.
	siblings *siblings
	// empties is for how many days there have been none, or one more.
	empties uint8
}

// taught is what the users' buckets taught each other; nil where that is nothing.
func (k *kin) taught() *siblings {
	if k.people == nil {
		return nil
	}
	return k.siblings
}

// appendPlace appends the endpoint and labels of a bucket's key, and whether it has
// a user. No part of a scope holds the separator.
func appendPlace(place []byte, key *Scope) []byte {
	place = append(place, key.Endpoint...)
	if key.Labels.text != "" || key.User != "" {
		place = append(place, labelSep...)
		place = append(place, key.Labels.text...)
	}
	if key.User != "" {
		place = append(place, labelSep...)
	}
	return place
}

func placeOf(key Scope) string { return string(appendPlace(nil, &key)) }

// of is the bucket of a user, nil when there is none.
func (k *kin) of(user string) *Bucket {
	if k.rule.Per.User {
		return k.users[user]
	}
	return k.only
}

// all yields the buckets. They may be dropped meanwhile.
func (k *kin) all(yield func(*Bucket) bool) {
	if k.only != nil && !yield(k.only) {
		return
	}
	if k.people == nil {
		return
	}
	for _, b := range k.users {
		if !yield(b) {
			return
		}
	}
}

// key is what the bucket of a user counts.
func (k *kin) key(user string) Scope {
	key := *k.home
	key.User = user
	var labels string
	key.Endpoint, labels, _ = strings.Cut(k.place, labelSep)
	if k.rule.Per.User {
		labels = strings.TrimSuffix(labels, labelSep)
	}
	key.Labels.text = labels
	return key
}

// family is the buckets of the limit of this name.
func (l *Ledger) family(limit string) *family {
	f := l.families[limit]
	if f == nil {
		if len(l.families) >= maxFamilies && limit != nameOther {
			l.fold()
		}
		f = &family{home: &l.home, gate: limit == nameBackoff, kins: make(map[string]*kin)}
		l.families[limit] = f
	}
	return f
}

// kin is the buckets of the rule that count calls of this scope or differ from
// those by their user alone.
func (l *Ledger) kin(rule *Limit, s Scope) *kin {
	if l.home.API == "" {
		l.home = Scope{API: s.API, App: s.App}
	}
	f := l.family(rule.Name)
	place := placeOf(s.Only(rule.Per))
	k := f.kins[place]
	if k == nil {
		k = &kin{family: f, rule: rule, place: place}
		if rule.Per.User {
			k.people = &people{users: make(map[string]*Bucket)}
		}
		f.kins[k.place] = k
	}
	return k
}

// all yields the buckets of the limit. They may be dropped meanwhile.
func (f *family) all(yield func(*Bucket) bool) {
	for _, k := range f.kins {
		for b := range k.all {
			if !yield(b) {
				return
			}
		}
	}
}

// find is the bucket of this limit and key, nil when there is none.
func (l *Ledger) find(limit string, key Scope) *Bucket {
	if f := l.families[limit]; f != nil {
		if k := f.kins[placeOf(key)]; k != nil {
			return k.of(key.User)
		}
	}
	return nil
}

// bucket is the bucket of the rule that counts the scope, made when there is
// none.
func (l *Ledger) bucket(now instant, rule *Limit, s Scope) *Bucket {
	return l.bucketOf(now, l.kin(rule, s), s.User)
}

// bucketOf is the bucket of a user, made when there is none.
func (l *Ledger) bucketOf(now instant, k *kin, user string) *Bucket {
	if b := k.of(user); b != nil {
		return b
	}
	l.size++
	if l.since == 0 {
		l.since = now
	}
	if !k.rule.Per.User {
		k.only = newBucket(k, "", now)
		k.only.unrecord(l.recordless(now, k.only))
		l.inherit(now, k.only)
		l.study(k.only)
		return k.only
	}
	k.empties = 0
	b := newBucket(k, strings.Clone(user), now) // not the whole request that it came with
	b.unrecord(l.recordless(now, b))
	l.study(b)
	k.users[b.user] = b
	l.inherit(now, b)
	return b
}

// drop forgets a bucket. What still has a hold of it changes nothing any more.
func (l *Ledger) drop(b *Bucket) {
	if b.dropped {
		return
	}
	b.dropped, b.queued = true, 0
	if b.rule.Per.User {
		delete(b.users, b.user)
	} else {
		b.only = nil
	}
	if s := b.taught(); b.kin.empty() && (s == nil || s.number == 0) {
		delete(b.kins, b.kin.place)
	}
	l.size--
	l.replan()
	delete(l.queued, b)
	l.uncool(b)
	delete(l.wanting, b)
	if kept := l.memoryOf(b); kept != nil {
		kept.bucket = nil
	}
}

// all yields every bucket, in no order. Buckets may be dropped meanwhile.
func (l *Ledger) all(yield func(*Bucket) bool) {
	for _, f := range l.families {
		for b := range f.all {
			if !yield(b) {
				return
			}
		}
	}
}
