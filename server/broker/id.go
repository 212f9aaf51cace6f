package broker

import (
	"crypto/rand"
	"encoding/base64"
	"sync"
)

// A life is one ownership of one shard, and the first half of the ids of the
// permits granted in it. An id of a known life whose permit is not known has
// ended, so that a duplicate is told apart from a permit of an earlier life
// without remembering what has ended.
type life [8]byte

// nonce is the unguessable half of a permit's id.
type nonce [16]byte

// newID makes the id of a permit.
func newID(l life) (id string, n nonce) {
	rand.Read(n[:])
	var raw [len(l) + len(n)]byte
	copy(raw[copy(raw[:], l[:]):], n[:])
	return base64.RawURLEncoding.EncodeToString(raw[:]), n
}

// parseID takes an id apart; ok is false for what can never have been one.
func parseID(id string) (l life, n nonce, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(id)
	if err != nil || len(raw) != len(l)+len(n) || base64.RawURLEncoding.EncodedLen(len(raw)) != len(id) {
		return l, n, false
	}
	copy(n[:], raw[copy(l[:], raw):])
	return l, n, true
}

// lives finds the shard of a permit's id. Safe for concurrent use; the zero
// value is ready.
type lives struct{ m sync.Map }

// begin makes a new life of the shard.
func (ls *lives) begin(s *shard) life {
	var l life
	rand.Read(l[:])
	ls.m.Store(l, s)
	return l
}

func (ls *lives) end(l life) { ls.m.Delete(l) }

// find is the shard in whose present life the id was made.
func (ls *lives) find(id string) (*shard, nonce, bool) {
	l, n, ok := parseID(id)
	if !ok {
		return nil, n, false
	}
	s, ok := ls.m.Load(l)
	if !ok {
		return nil, n, false
	}
	return s.(*shard), n, true
}
