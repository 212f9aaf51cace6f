package dialect

import (
	"math"
	"strings"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// decimal is a number as a response wrote it: exact, because a float would turn
// 0.9 s into 899 ms. A whole part beyond an int64 is the greatest int64.
type decimal struct {
	neg   bool
	whole int64
	nano  int64 // the fraction in 10⁻⁹, more digits cut off
}

// maxDigits bounds the length of a number.
const maxDigits = 40

// parseDecimal reads [sign] digits [. digits]; the reason is empty when it could.
func parseDecimal(s string) (decimal, string) {
	if len(s) > maxDigits {
		return decimal{}, "too long for a number"
	}
	digits := s
	if s != "" && (s[0] == '+' || s[0] == '-') {
		digits = s[1:]
	}
	whole, fraction, dotted := strings.Cut(digits, ".")
	if !isDigits(whole) || dotted && !isDigits(fraction) {
		return decimal{}, "not a decimal number"
	}
	d := decimal{whole: saturate(whole)}
	if dotted {
		d.nano = saturate((fraction + "000000000")[:9])
	}
	d.neg = s[0] == '-' && d != decimal{}
	return d, ""
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// saturate is the value of digits, at most the greatest int64.
func saturate(digits string) int64 {
	var n int64
	for _, c := range []byte(digits) {
		digit := int64(c - '0')
		if n > (math.MaxInt64-digit)/10 {
			return math.MaxInt64
		}
		n = n*10 + digit
	}
	return n
}

// wholeDecimal is n as a decimal.
func wholeDecimal(n int64) decimal {
	if n < 0 {
		return decimal{neg: true, whole: -max(n, -math.MaxInt64)}
	}
	return decimal{whole: n}
}

// floor is the count that is at most d, from 0 to [quota.MaxQuota].
func (d decimal) floor() int64 {
	if d.neg {
		return 0
	}
	return min(d.whole, quota.MaxQuota)
}

// ceil is the count that is at least d, from 0 to [quota.MaxQuota].
func (d decimal) ceil() int64 {
	if !d.neg && d.nano > 0 && d.whole < quota.MaxQuota {
		return d.whole + 1
	}
	return d.floor()
}

// seconds is d seconds, never negative, at most the greatest duration.
func (d decimal) seconds() time.Duration {
	switch {
	case d.neg:
		return 0
	case d.whole >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64
	}
	return time.Duration(d.whole)*time.Second + time.Duration(d.nano)
}

func (d decimal) less(e decimal) bool {
	if d.neg != e.neg {
		return d.neg
	}
	below := d.whole < e.whole || d.whole == e.whole && d.nano < e.nano
	return below != d.neg && d != e
}
