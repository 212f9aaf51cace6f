package dialect

import (
	"slices"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

var ietfTable = []struct {
	name   string
	fields []string
	want   []seen
}{
	{"nothing", nil, nil},
	{"other spellings are not the draft's", []string{"X-RateLimit-Limit", "5", "X-RateLimit-Remaining", "5"}, nil},
	{"03", []string{"RateLimit-Limit", "100", "RateLimit-Remaining", "50", "RateLimit-Reset", "60"}, []seen{{"", "", 100, 50, minute, 0}}},
	{"03 with policies", []string{"RateLimit-Limit", "100, 100;w=60, 5000;w=3600", "RateLimit-Remaining", "50", "RateLimit-Reset", "60"},
		[]seen{{"", "", 100, 50, minute, minute}, {"", "", 5000, quota.Unknown, -1, time.Hour}}},
	{"03, a comma in a comment", []string{"RateLimit-Limit", `10, 10;w=1;comment="a, \"b\", c", 50;w=60`, "RateLimit-Remaining", "9"},
		[]seen{{"", "", 10, 9, -1, time.Second}, {"", "", 50, quota.Unknown, -1, minute}}},
	{"03, a limit that no policy has", []string{"RateLimit-Limit", "80, 100;w=60", "RateLimit-Remaining", "50"},
		[]seen{{"", "", 80, 50, -1, 0}, {"", "", 100, quota.Unknown, -1, minute}}},
	{"03, two policies of one quota", []string{"RateLimit-Limit", "100, 100;w=60, 100;w=1", "RateLimit-Remaining", "50"},
		[]seen{{"", "", 100, 50, -1, 0}, {"", "", 100, quota.Unknown, -1, minute}, {"", "", 100, quota.Unknown, -1, time.Second}}},
	{"04 to 06", []string{"RateLimit-Limit", "100", "RateLimit-Policy", "100;w=60", "RateLimit-Remaining", "50", "RateLimit-Reset", "60"}, []seen{{"", "", 100, 50, minute, minute}}},
	{"remaining of the only policy", []string{"RateLimit-Policy", "100;w=60", "RateLimit-Remaining", "50"}, []seen{{"", "", 100, 50, -1, minute}}},
	{"07", []string{"RateLimit", "limit=100, remaining=50, reset=60", "RateLimit-Policy", "100;w=60, 10;w=1"},
		[]seen{{"", "", 100, 50, minute, minute}, {"", "", 10, quota.Unknown, -1, time.Second}}},
	{"07 in another order, with more", []string{"RateLimit", "reset=60,remaining=50;x=1 , limit=100, foo=bar"}, []seen{{"", "", 100, 50, minute, 0}}},
	{"07, a bad member does not spoil the others", []string{"RateLimit", `limit=abc, remaining=5, reset="6"`}, []seen{{"", "", 0, 5, -1, 0}}},
	{"07, less than nothing", []string{"RateLimit", "limit=10, remaining=-3, reset=-1"}, []seen{{"", "", 10, 0, 0, 0}}},
	{"08 on", []string{"RateLimit", `"default";r=50;t=30`}, []seen{{"default", "", 0, 50, 30 * time.Second, 0}}},
	{"several items and policies", []string{"RateLimit-Policy", `"burst";q=100;w=60, "daily";q=1000;w=86400`, "RateLimit", `"daily";r=900, "burst";r=40;t=5`},
		[]seen{{"daily", "", 1000, 900, -1, 24 * time.Hour}, {"burst", "", 100, 40, 5 * time.Second, minute}}},
	{"declared, not reported", []string{"RateLimit-Policy", `"a";q=100;w=60, "b";q=5`}, []seen{{"a", "", 100, quota.Unknown, -1, minute}, {"b", "", 5, quota.Unknown, -1, 0}}},
	{"a unit", []string{"RateLimit-Policy", `"b";q=65535;qu="content-bytes";w=10, "r";q=10;qu="requests"`, "RateLimit", `"b";r=500`},
		[]seen{{"b", "content-bytes", 65535, 500, -1, 10 * time.Second}, {"r", "", 10, quota.Unknown, -1, 0}}},
	{"the draft's own malformed sample", []string{"RateLimit", "quota;q=100;w=1"}, nil},
	{"a token for a name", []string{"RateLimit", `default;r=50;t=30, "good";r=1`}, []seen{{"good", "", 0, 1, -1, 0}}},
	{"no r", []string{"RateLimit", `"a";t=30, "good";r=1`}, []seen{{"good", "", 0, 1, -1, 0}}},
	{"r that is no integer", []string{"RateLimit", `"a";r=5.5, "b";r="5", "c";r, "d";r=?1, "e";r=1e3, "good";r=1`}, []seen{{"good", "", 0, 1, -1, 0}}},
	{"t that is no integer", []string{"RateLimit", `"a";r=5;t="5", "good";r=1`}, []seen{{"good", "", 0, 1, -1, 0}}},
	{"t that is too far", []string{"RateLimit", `"a";r=0;t=999999999`}, []seen{{"a", "", 0, 0, -1, 0}}},
	{"numbers beyond the grammar", []string{"RateLimit", `"a";r=9999999999999999, "good";r=999999999999999`}, []seen{{"good", "", 0, 999999999999999, -1, 0}}},
	{"less than nothing", []string{"RateLimit", `"a";r=-5;t=-5`}, []seen{{"a", "", 0, 0, 0, 0}}},
	{"more left than the policy has", []string{"RateLimit-Policy", `"a";q=10`, "RateLimit", `"a";r=50`}, []seen{{"a", "", 10, 10, -1, 0}}},
	{"policies that are none", []string{"RateLimit-Policy", `"a";w=1, "b";q=0, "c";q=-5, "d";q=1.5, e;q=5, 5.5;w=1, "f";q=5;w=-1, "g";q=5;w="1", "h";q=5;w=99999999, "i";q=5;qu=5, "j";q=5;qu="", ("k");q=5, ?1, "good";q=5;w=60`},
		[]seen{{"good", "", 5, quota.Unknown, -1, minute}}},
	{"a list cut short", []string{"RateLimit-Policy", `"good";q=5, "bad`}, []seen{{"good", "", 5, quota.Unknown, -1, 0}}},
	{"a trailing comma", []string{"RateLimit-Policy", `"good";q=5,`}, []seen{{"good", "", 5, quota.Unknown, -1, 0}}},
	{"an escaped quote", []string{"RateLimit", `"a\", \"b";r=5`}, []seen{{`a", "b`, "", 0, 5, -1, 0}}},
	{"two lines", []string{"RateLimit-Policy", `"a";q=10;w=60`, "RateLimit", `"b";r=5`, "RateLimit-Policy", `"b";q=20`, "RateLimit", `"a";r=1`},
		[]seen{{"b", "", 20, 5, -1, 0}, {"a", "", 10, 1, -1, minute}}},
	{"a partition", []string{"RateLimit-Policy", `"u";q=100;w=60;pk=:cHsdsRa894==:`, "RateLimit", `"u";r=5;t=3;pk=:cHsdsRa894==:`}, []seen{{"u", "", 100, 5, 3 * time.Second, minute}}},
	{"a partition without padding", []string{"RateLimit", `"u";pk=:cHsdsRa894:;r=5`}, []seen{{"u", "", 0, 5, -1, 0}}},
	{"a partition that is none", []string{"RateLimit", `"u";pk=:*:;r=5, "v";pk=:abc;r=5, "good";r=1`}, []seen{{"good", "", 0, 1, -1, 0}}},
	{"two partitions of one policy", []string{"RateLimit-Policy", `"u";q=10;pk=:YQ==:, "u";q=20;pk=:Yg==:`, "RateLimit", `"u";r=9;pk=:YQ==:, "u";r=3;pk=:Yg==:`}, []seen{{"u", "", 20, 3, -1, 0}}},
	{"the same item twice", []string{"RateLimit", `"u";r=3`, "RateLimit", `"u";r=9`}, []seen{{"u", "", 0, 3, -1, 0}}},
}

func TestIETF(t *testing.T) {
	for _, c := range ietfTable {
		t.Run(c.name, func(t *testing.T) {
			got := seenOf(ietf{}.Read(answerOf(200, c.fields...)).Answer.Observations)
			if !slices.Equal(got, c.want) {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// What "ietf" reads of well-formed fields, "auto" reads alike.
func TestAutoIncludesIETF(t *testing.T) {
	for _, c := range ietfTable {
		if c.name == "other spellings are not the draft's" {
			continue
		}
		if got := seenOf(auto{}.Read(answerOf(200, c.fields...)).Answer.Observations); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

func TestMalformedIsIgnoredWithReason(t *testing.T) {
	for _, value := range []string{`"a"`, `a;r=5`, `"a";r=5.5`, `"a`, `;`, `"a";r=5;;`, `"a" r=5`, `("a");r=5`, "\xff", `"é";r=5`} {
		reading := ietf{}.Read(answerOf(200, "RateLimit", value, "RateLimit-Policy", value))
		if len(reading.Answer.Observations) != 0 || len(reading.Ignored) != 2 {
			t.Errorf("%q: %+v", value, reading)
		}
	}
}

const types = "https://iana.org/assignments/http-problem-types#"

func TestProblem(t *testing.T) {
	fields := []string{"RateLimit", `"a";r=0;t=5, "b";r=7;t=5`}
	for _, c := range []struct {
		name, body string
		status     int
		verdict    quota.Verdict
		blocked    []string
	}{
		{"no body", "", 429, quota.Refused, []string{"a"}},
		{"says which", `{"type":"` + types + `quota-exceeded","violated-policies":["b"]}`, 429, quota.Refused, []string{"b"}},
		{"both", ` {"type":"` + types + `quota-exceeded","violated-policies":["b","a"]}`, 429, quota.Refused, []string{"a", "b"}},
		{"one that no field has", `{"type":"` + types + `quota-exceeded","violated-policies":["c", "", "\u0000"]}`, 429, quota.Refused, []string{"c"}},
		{"none named", `{"type":"` + types + `quota-exceeded","violated-policies":[]}`, 429, quota.Refused, []string{"a"}},
		{"overload", `{"type":"` + types + `temporary-reduced-capacity","violated-policies":["b"]}`, 429, quota.Overloaded, nil},
		{"abuse", `{"type":"` + types + `abnormal-usage-detected"}`, 429, quota.Refused, []string{"a"}},
		{"another type", `{"type":"about:blank","violated-policies":["b"]}`, 429, quota.Refused, []string{"a"}},
		{"types that are wrong", `{"type":5,"violated-policies":"b"}`, 429, quota.Refused, []string{"a"}},
		{"cut short", `{"type":"` + types + `quota-exceeded","violated-policies":["b"`, 429, quota.Refused, []string{"a"}},
		{"not JSON", `<html>`, 429, quota.Refused, []string{"a"}},
		{"another status", `{"type":"` + types + `quota-exceeded","violated-policies":["b"]}`, 403, quota.Passed, nil},
	} {
		for _, name := range both {
			resp := answerOf(c.status, fields...)
			resp.Body = []byte(c.body)
			a := mustBuiltin(t, name).Read(resp).Answer
			var blocked []string
			for _, o := range a.Observations {
				if o.Blocked {
					blocked = append(blocked, o.Limit)
				}
			}
			if a.Verdict != c.verdict || !slices.Equal(blocked, c.blocked) {
				t.Errorf("%s, %s: verdict %v, blocked %q", name, c.name, a.Verdict, blocked)
			}
		}
	}
}
