package server

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// denialText says to a person which bucket of which API denies the call, why,
// and when to ask again.
func denialText(d *broker.Denial) string {
	again := "; ask again in " + readable(d.RetryAfter)
	if d.Bucket.Limit == "" {
		return "too many calls wait already, of this connection or in all" + again
	}
	limit := "limit " + printable(d.Bucket.Limit) + " of " + bucketName(&d.Bucket)
	switch d.Reason {
	case "COOLING_DOWN":
		return limit + " is closed because the upstream said wait" + inBrackets(d.Bucket.CoolReason) + again
	case "PROBING":
		return limit + " lets few calls through until the upstream has answered one" + again
	case "DEADLINE_TOO_SHORT":
		return limit + " cannot allow the call before its deadline" + inBrackets(left(&d.Bucket)) + again
	case "TOO_MANY_WAITERS":
		return "too many calls wait already, of this connection or in all, for this one to wait for " + limit + again
	default:
		return limit + " is spent" + inBrackets(left(&d.Bucket)) + again
	}
}

// bucketName is what the bucket counts: its API, application and other parts.
func bucketName(b *quota.Status) string { return printable(b.Key.String()) }

// left is what remains of a bucket, "" when its quota is not known.
func left(b *quota.Status) string {
	if b.Quota < 0 || b.Remaining < 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d %s left", b.Remaining, b.Quota, printable(b.Unit))
}

func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return " (" + printable(s) + ")"
}

// readable is a duration as a person wants it, never shorter than it is.
func readable(d time.Duration) string {
	unit := time.Millisecond
	if d >= 10*time.Second {
		unit = time.Second
	}
	return (d + unit - 1).Truncate(unit).String()
}

// seconds is a duration as protobuf's JSON writes it, such as "59.5s".
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}

// printable is a text that came from an upstream, fit for one line of a log and
// for protobuf: cut at a length, with a space for any space and a "?" for what
// does not print. An error travels in headers, of which some clients take no
// more than 8 KiB.
func printable(s string) string {
	const most = 512
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}
