package recording

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

const began = `{"at_us":0,"began":{"format":1,"version":"v","wall":"2026-03-02T09:00:00Z","users":"hidden"}}` + "\n"

const asked = `{"at_us":5,"acquire":{"scope":{"api":"a"},"waited_us":0,"permit":"p-1"}}` + "\n"

func lines(t *testing.T, text string) ([]*Line, error) {
	t.Helper()
	var all []*Line
	err := Read(strings.NewReader(text), func(nth int, l *Line) error {
		if nth < 1 {
			t.Errorf("line %d", nth)
		}
		all = append(all, l)
		return nil
	})
	return all, err
}

// TestRoundTrip holds that what is written is read, every field of it.
func TestRoundTrip(t *testing.T) {
	after := int64(7)
	want := []*Line{
		{Began: &Began{1, "v", time.Date(2026, 3, 2, 9, 0, 0, 1000, time.UTC), Shown}},
		{AtUS: 1, Config: &Config{map[string]API{"a": {
			"auto", []string{"tenant"}, []Limit{
				{"l", []string{"app", "user"}, "tokens", 5, Window{Kind: Refill, PeriodUS: 1, Burst: 9}},
				{"m", []string{"app"}, "", 0, Window{Kind: Calendar, Unit: "day", Zone: "UTC"}},
				{"n", []string{"app"}, "", 0, Window{Kind: Fixed, PeriodUS: 3, Aligned: true, FirstUse: true, Counter: true}},
			},
			[]Override{{"GET /x", "l", 3}}, []Cost{{"GET /{id}", "tokens", 0}}, []int{304}, true, 5, 6,
		}}}},
		{AtUS: 2, Acquire: &Acquire{
			Scope:  Scope{"a", "app", "u", "e", map[string]string{"tenant": "t"}},
			Caller: "c", Costs: map[string]int64{"tokens": 3}, Priority: "high", MaxWaitUS: 4, WaitedUS: 2, DryRun: true,
			Denied: &Denied{"QUOTA_EXHAUSTED", "l", 8},
		}},
		{AtUS: 3, Report: &Report{
			Permit: "p", Scope: &Scope{API: "a"}, Caller: "c", Result: Sent, Status: 429, Headers: [][2]string{{"n", "v"}},
			Trailers: [][2]string{{"n", ""}}, Body: "b", SinceSentUS: 9, SinceReceivedUS: 1, ActualCosts: map[string]int64{"tokens": 2},
			FromCache: true, RetryAfterUS: &after,
		}},
		{AtUS: 4, Release: &Release{"p", "c", NoPermit}},
	}
	var text strings.Builder
	for _, l := range want {
		line, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "%s\n", line)
	}
	got, err := lines(t, text.String())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, got %+v", err, got)
	}
	if r := got[3].Report; r.Took() != 8*time.Microsecond || r.Received(got[3].At()) != 2*time.Microsecond {
		t.Errorf("took %v, received at %v", r.Took(), r.Received(got[3].At()))
	}
}

// configured is a line with an API's configuration.
func configured(fields string) string {
	return `{"at_us":1,"config":{"apis":{"a":{"dialect":"auto",` + fields + `}}}}` + "\n"
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", `line 1: began: "": is missing`},
		{asked, `line 1: began: "{\"at_us\":5,`},
		{strings.Replace(began, `"format":1`, `"format":3`, 1), `line 1: began.format: "3": must be from 1 to 2: read it with the version that wrote it`},
		{strings.Replace(began, `"format":1`, `"format":0`, 1), `line 1: began.format: "0": must be from 1`},
		{began + configured(`"overrides":[{"endpoint":"GET /x","quota":3}]`), `line 2: config.apis.a.overrides[0]: "{GET /x  3}": must have an endpoint and a limit`},
		{began + configured(`"overrides":[{"endpoint":"GET /x","limit":"l","quota":-3}]`), `line 2: config.apis.a.overrides[0].quota: "-3": must be from 0`},
		{began + configured(`"costs":[{"unit":"tokens","cost":3}]`), `line 2: config.apis.a.costs[0]: "{ tokens 3}": must have an endpoint and a unit`},
		{began + configured(`"costs":[{"endpoint":"GET /x","unit":"tokens","cost":-1}]`), `line 2: config.apis.a.costs[0].cost: "-1": must be from 0`},
		{began + configured(`"free":[99]`), `line 2: config.apis.a.free[0]: "99": must be from 100 to 599`},
		{began + configured(`"send_within_us":-1`), `line 2: config.apis.a.send_within_us: "-1": must be microseconds from 0`},
		{strings.Replace(began, "hidden", "some", 1), `line 1: began.users: "some": must be one of hidden, shown`},
		{strings.Replace(began, "2026", "1066", 1), `line 1: began.wall: "1066-`},
		{began + "nonsense\n" + asked, `line 2: line: "nonsense": must be JSON`},
		{began + "[]\n", `line 2: line: "array": must be a recording.Line`},
		{began + asked[:40] + "\n" + asked, `line 2: line: "{\"at_us\":5,`},
		{began + `{"at_us":1}` + "\n", `line 2: line: "": must have exactly one of`},
		{began + `{"at_us":1,"release":{"permit":"p"},"acquire":{}}` + "\n", `line 2: line: "": must have exactly one of`},
		{began + `{"at_us":1,"release":{"permit":"p"}} {}` + "\n", `line 2: line: "{\"at_us\":1,`},
		{began + `{"at_us":"1"}` + "\n", `line 2: at_us: "string": must be a int64`},
		{began + `{"at_us":1,"grant":{}}` + "\n", `line 2: line: "grant": unknown field`},
		{began + `{"at_us":-1,"release":{"permit":"p"}}` + "\n", `line 2: at_us: "-1": must be microseconds`},
		{began + `{"at_us":1,"release":{}}` + "\n", `line 2: release.permit: "": is missing`},
		{began + `{"at_us":1,"acquire":{"scope":{},"permit":"p"}}` + "\n", `line 2: acquire.scope.api: "": is missing`},
		{began + `{"at_us":1,"acquire":{"scope":{"api":"a"}}}` + "\n", `line 2: acquire: "": must have exactly one of permit, denied and failed`},
		{began + `{"at_us":1,"acquire":{"scope":{"api":"a"},"permit":"p","costs":{"b":1,"a":-3}}}` + "\n", `line 2: acquire.costs.a: "-3": must be from 0`},
		{began + `{"at_us":1,"report":{"permit":"p","result":"sent","status":42}}` + "\n", `line 2: report.status: "42": must be from 100`},
		{began + `{"at_us":1,"report":{"permit":"p","result":"maybe"}}` + "\n", `line 2: report.result: "maybe": must be one of sent, not_sent, lost`},
		{began + `{"at_us":1,"config":{"apis":{"a":{"dialect":"auto","limits":[{"name":"l","per":["app"],"window":{"kind":"fixed"}}]}}}}` + "\n",
			`line 2: config.apis.a.limits[0].window.period_us: "0": must be above 0`},
		{began + strings.Repeat("x", MaxLine+1), `line 2: line: "": is longer than`},
	} {
		_, err := lines(t, tt.text)
		if _, ok := errors.AsType[*Error](err); !ok || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%.80q:\ngot  %v\nwant %s", tt.text, err, tt.want)
		}
	}
}

// TestCutOff holds that what a crash cut off is left out, and nothing else.
func TestCutOff(t *testing.T) {
	for i := range len(asked) - 1 {
		if got, err := lines(t, began+asked+asked[:i]); err != nil || len(got) != 2 {
			t.Errorf("cut at %d: %d lines, %v", i, len(got), err)
		}
		again := began + asked + asked[:i] + "\n" + began + asked
		if got, err := lines(t, again); i > 0 && (err != nil || len(got) != 4) {
			t.Errorf("cut at %d, and begun anew: %d lines, %v", i, len(got), err)
		}
	}
	if got, err := lines(t, began+strings.TrimSuffix(asked, "\n")); err != nil || len(got) != 2 {
		t.Errorf("without the last newline: %d lines, %v", len(got), err)
	}
}

func TestEachEnds(t *testing.T) {
	stop := errors.New("stop")
	if err := Read(strings.NewReader(began), func(int, *Line) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

// FuzzRead holds that no input is too strange to be refused with its place, and
// that what is accepted is the same when it is written again.
func FuzzRead(f *testing.F) {
	f.Add(began)
	f.Add(began + asked)
	f.Add(began + asked[:30])
	f.Add(began + `{"at_us":9,"report":{"permit":"p-1","result":"sent","status":429,"headers":[["retry-after","7"]],"retry_after_us":7000000}}` + "\n")
	f.Add(began + `{"at_us":9,"config":{"apis":{"a":{"dialect":"auto"}}}}` + "\n" + began + `{"at_us":9,"release":{"permit":"p"}}`)
	f.Add(strings.Replace(began, `"format":1`, `"format":2`, 1) + configured(`"overrides":[{"endpoint":"e","limit":"l","quota":3}],"costs":[{"endpoint":"e","unit":"u","cost":0}],"free":[304],"shadow":true`))
	f.Add("\x00\xff{}{}[]\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		var again strings.Builder
		n := 0
		err := Read(strings.NewReader(text), func(_ int, l *Line) error {
			line, err := json.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&again, "%s\n", line)
			n++
			return nil
		})
		if wrong, ok := errors.AsType[*Error](err); err != nil && (!ok || wrong.Line < 1 || wrong.Field == "" || wrong.Remedy == "") {
			t.Fatalf("got %v", err)
		}
		if err != nil {
			return
		}
		if got, err := lines(t, again.String()); err != nil || len(got) != n {
			t.Errorf("%d lines were accepted, and written again %d are: %v", n, len(got), err)
		}
	})
}
