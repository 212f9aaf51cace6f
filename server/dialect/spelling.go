package dialect

import (
	"strings"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// word is what one field of a group tells.
type word uint8

const (
	// wordBare: the family's name alone.
	wordBare word = iota
	wordLimit
	wordRemaining
	wordUsed
	wordReset
	// wordResetAfter is a reset that can only be a duration.
	wordResetAfter
	wordWindow
	// wordName is the upstream's name for the limit.
	wordName
)

// spelling is a field's name taken apart: X-RateLimit-Remaining-Tokens is what
// remains of the group "tokens" in the family "x-ratelimit".
type spelling struct {
	family, group string
	word          word
}

// spell takes the name of a field apart. The telling word comes first or last.
func spell(name string) (spelling, bool) {
	for _, family := range [...]string{"x-ratelimit", "x-rate-limit", "ratelimit", "rate-limit"} {
		rest, ok := strings.CutPrefix(name, family)
		if !ok || rest != "" && rest[0] != '-' {
			continue
		}
		if rest == "" {
			return spelling{family: family}, true
		}
		if w, n := telling([]string{rest[1:]}); n > 0 {
			return spelling{family: family, word: w}, true // as nearly all are
		}
		words := strings.Split(rest[1:], "-")
		if w, n := telling(words); n > 0 {
			return spelling{family, strings.Join(words[n:], "-"), w}, true
		}
		for n := min(2, len(words)-1); n > 0; n-- {
			first := len(words) - n
			if w, taken := telling(words[first:]); taken == n {
				return spelling{family, strings.Join(words[:first], "-"), w}, true
			}
		}
		return spelling{}, false
	}
	return spelling{}, false
}

// telling says what the first words tell, and how many of them it takes.
func telling(words []string) (w word, n int) {
	switch words[0] {
	case "limit", "max", "total":
		return wordLimit, 1
	case "remaining", "left", "available":
		return wordRemaining, 1
	case "used", "usage", "count", "observed":
		return wordUsed, 1
	case "window", "interval", "period":
		return wordWindow, 1
	case "resource", "bucket", "name":
		return wordName, 1
	case "resettime", "resetat":
		return wordReset, 1
	case "reset":
		return tellingReset(words)
	}
	return 0, 0
}

func tellingReset(words []string) (w word, n int) {
	if len(words) == 1 {
		return wordReset, 1
	}
	switch words[1] {
	case "after", "in":
		return wordResetAfter, 2
	case "at", "time", "date", "timestamp", "epoch":
		return wordReset, 2
	}
	return wordReset, 1
}

// windowOf is the window that a group's words name; its zero value when they
// name none.
func windowOf(words string) quota.Window {
	for w := range strings.SplitSeq(words, "-") {
		switch w {
		case "second", "secondly":
			return fixed(time.Second)
		case "minute", "minutely":
			return fixed(time.Minute)
		case "hour", "hourly":
			return fixed(time.Hour)
		case "day", "daily":
			return fixed(24 * time.Hour)
		}
	}
	return quota.Window{}
}

// unitOf is the unit that a group's words name; empty for requests, which is
// what is counted unless the words say otherwise.
func unitOf(words string) string {
	last := words[strings.LastIndexByte(words, '-')+1:]
	switch last {
	case "tokens", "points", "credits", "units", "bytes", "weight", "cost", "complexity":
		return words
	}
	return ""
}
