package dialect

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// no stands for a number that is ignored.
const no = int64(-99)

// counts are numbers as they come, and what they are as what remains (rounded
// down) and as a use (rounded up).
var counts = []struct {
	text        string
	floor, ceil int64
}{
	{"0", 0, 0}, {"1", 1, 1}, {"57", 57, 57}, {"5000", 5000, 5000},
	{"57.0", 57, 57}, {"0.0", 0, 0}, {"57.9", 57, 58}, {"57.000000001", 57, 58}, {"57.0000000001", 57, 57},
	{"0.5", 0, 1}, {"0.04512", 0, 1}, {"0.999999999999", 0, 1}, {"-0.5", 0, 0},
	{"-1", 0, 0}, {"-27689", 0, 0}, {"-0", 0, 0}, {"-0.0", 0, 0}, {"+5", 5, 5}, {"+0", 0, 0}, {"+5.5", 5, 6},
	{"007", 7, 7}, {"00", 0, 0}, {"0060", 60, 60}, {"000000000000000000000000000000000000001", 1, 1},
	{"1125899906842623", quota.MaxQuota - 1, quota.MaxQuota - 1},
	{"1125899906842624", quota.MaxQuota, quota.MaxQuota}, {"1125899906842624.5", quota.MaxQuota, quota.MaxQuota},
	{"1125899906842623.5", quota.MaxQuota - 1, quota.MaxQuota}, {"1125899906842625", quota.MaxQuota, quota.MaxQuota},
	{"9223372036854775807", quota.MaxQuota, quota.MaxQuota}, {"9223372036854775808", quota.MaxQuota, quota.MaxQuota},
	{"18446744073709551616", quota.MaxQuota, quota.MaxQuota}, {"-9223372036854775808", 0, 0},
	{"9999999999999999999999999999999999999999", quota.MaxQuota, quota.MaxQuota},
	{strings.Repeat("9", 41), no, no}, {"1" + strings.Repeat("0", 308), no, no}, {"0." + strings.Repeat("0", 100), no, no},
	{"", no, no}, {"+", no, no}, {"-", no, no}, {".", no, no}, {".5", no, no}, {"5.", no, no}, {"--5", no, no}, {"+-5", no, no},
	{"5-", no, no}, {"5.5.5", no, no}, {"5..5", no, no}, {"1 000", no, no}, {"1_000", no, no}, {"1'000", no, no}, {"5 5", no, no},
	{"NaN", no, no}, {"nan", no, no}, {"Inf", no, no}, {"-Inf", no, no}, {"+Inf", no, no}, {"inf", no, no}, {"Infinity", no, no}, {"∞", no, no},
	{"1e308", no, no}, {"1e3", no, no}, {"1E3", no, no}, {"5e-1", no, no}, {"1.5e3", no, no}, {"1e999999999", no, no},
	{"0x10", no, no}, {"0X1F", no, no}, {"0b11", no, no}, {"0o17", no, no}, {"0x1p4", no, no}, {"10h", no, no}, {"#10", no, no},
	{"５", no, no}, {"５７", no, no}, {"1０", no, no}, {"٣", no, no}, {"५", no, no}, {"²", no, no}, {"½", no, no}, {"−5", no, no}, {"Ⅴ", no, no},
	{"true", no, no}, {"null", no, no}, {"none", no, no}, {"unlimited", no, no}, {"undefined", no, no}, {"[object Object]", no, no},
	{`"5"`, no, no}, {"'5'", no, no}, {"(5)", no, no}, {"$5", no, no}, {"5%", no, no}, {"5/10", no, no}, {"5:10", no, no}, {"~5", no, no},
	{"5\x00", no, no}, {"\x005", no, no}, {"5\n6", no, no}, {"\ufeff5", no, no}, {"5\u00a0", no, no}, {"\x1b[31m5", no, no}, {"\xff", no, no},
	{"five", no, no}, {"5 requests", no, no}, {"5req", no, no}, {"5;", no, no}, {"5=5", no, no}, {"1.000,5", no, no},
}

func TestNumbers(t *testing.T) {
	for _, c := range counts {
		d, reason := parseDecimal(c.text)
		if (reason != "") != (c.floor == no) {
			t.Errorf("%q: reason %q", c.text, reason)
			continue
		}
		if reason == "" && (d.floor() != c.floor || d.ceil() != c.ceil) {
			t.Errorf("%q: down %d, up %d, want %d and %d", c.text, d.floor(), d.ceil(), c.floor, c.ceil)
		}
	}
}

func TestSeconds(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "-5": 0, "-0.1": 0, "0.9": 900 * time.Millisecond, "64.57": 64*time.Second + 570*time.Millisecond,
		"0.000000001": 1, "0.0000000009": 0, "2.0": 2 * time.Second, "9223372036": math.MaxInt64,
		"9223372035.5": 9223372035*time.Second + 500*time.Millisecond, "99999999999999999999": math.MaxInt64,
	} {
		d, reason := parseDecimal(text)
		if reason != "" || d.seconds() != want {
			t.Errorf("%q is %v (%s), want %v", text, d.seconds(), reason, want)
		}
	}
}

func TestDecimalOrder(t *testing.T) {
	texts := []string{"-9223372036854775808", "-2", "-1.5", "-1.1", "-1", "-0.5", "0", "0.5", "1", "1.1", "1.5", "2", "9223372036854775807"}
	for i, a := range texts {
		for j, b := range texts {
			x, _ := parseDecimal(a)
			y, _ := parseDecimal(b)
			if x.less(y) != (i < j) {
				t.Errorf("%s < %s is %v", a, b, x.less(y))
			}
		}
	}
	if wholeDecimal(math.MinInt64).floor() != 0 || wholeDecimal(-3).seconds() != 0 || wholeDecimal(3).floor() != 3 {
		t.Error("whole numbers")
	}
}
