package timeline

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
	"github.com/quotabroker/quotabroker/server/simulate/strategy"
)

var update = flag.Bool("update", false, "write the golden files anew")

const day = 24 * time.Hour

var t0 = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

// small is a run of four seconds and two windows, of a strategy that believes
// something from its second sample on.
func small() *Picture {
	app := simulate.Call{App: "app"}
	s := &simulate.Scenario{
		Name: "small", Variant: "a < b & \"c\"", About: "Ten calls in two windows.", Start: t0, Duration: 4 * time.Second,
		Upstream: simulate.API{
			Limits:  []simulate.Limit{{Name: "app", Per: []string{"app"}, Quota: 5, Window: simulate.Shape{Fixed: 2 * time.Second}}},
			Outages: []simulate.Outage{{From: 3500 * time.Millisecond, For: time.Second}},
			Changes: []simulate.Change{{At: 3 * time.Second, Limit: "app", Quota: 6}},
		},
	}
	r := &simulate.Result{Seed: 7, Sent: 10, Served: 9, Refused: 1, WaitP50: 20 * time.Millisecond, WaitP99: 1500 * time.Millisecond}
	for i, l := range []simulate.Level{
		{Left: 5}, {Left: 5, Believed: 4, Known: true}, {Left: 1, Believed: 0, Known: true, Counted: 4},
		{Left: 0, Believed: 0, Known: true, Counted: 5, Refused: 1}, {Left: 5, Believed: 5, Known: true, Counted: 5, Refused: 1},
		{Left: 5, Believed: 5, Known: true, Counted: 5, Refused: 1}, {Left: 3, Believed: 2, Known: true, Counted: 7, Refused: 1},
		{Left: 3, Believed: 2, Known: true, Counted: 7, Refused: 1}, {Left: 1, Believed: 1, Known: true, Counted: 9, Refused: 1},
	} {
		l.Limit, l.Key = "app", app
		r.Timeline = append(r.Timeline, simulate.Sample{At: t0.Add(time.Duration(i) * 500 * time.Millisecond), Levels: []simulate.Level{l}})
	}
	for i := range 2 {
		r.Windows = append(r.Windows, simulate.Window{
			Limit: "app", Key: app, Began: t0.Add(time.Duration(i) * 2 * time.Second), Ends: t0.Add(time.Duration(i+1) * 2 * time.Second),
			Quota: 5, Counted: 5, Whole: true, Contended: true,
		})
	}
	return &Picture{Scenario: s, Runs: []Run{{"ours", r}}}
}

func written(t *testing.T, p *Picture) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	const path = "testdata/small.svg"
	got := written(t, small())
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the picture is another than %s: look at it, and go test -update if it is right\n%s", path, got)
	}
}

// texts are what a picture says, in order; it must be well-formed XML.
func texts(t *testing.T, svg []byte) []string {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	var all []string
	for inside := false; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			inside = e.Name.Local == "text"
		case xml.EndElement:
			inside = false
		case xml.CharData:
			if inside {
				all = append(all, string(e))
			}
		}
	}
}

func TestHostileNamesAreShown(t *testing.T) {
	p := small()
	p.Scenario.Name = `</text><script>"&`
	p.Scenario.Variant = "\x00\x1b\xff]]>"
	p.Scenario.Upstream.Limits[0].Unit = "<b>"
	p.Runs[0].Result.Timeline[0].Levels[0].Key.User = "a&b<c>"
	all := strings.Join(texts(t, written(t, p)), "\n")
	for _, want := range []string{`</text><script>"&`, "\uFFFD\uFFFD\uFFFD]]>", "5 <b> every 2 s; shown for a&b<c>"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
}

// TestBuiltins draws a variant of each scenario, cut short, and holds that the
// picture is well-formed, says what the run counted, and is the same again.
func TestBuiltins(t *testing.T) {
	all, err := simulate.Builtins()
	if err != nil {
		t.Fatal(err)
	}
	strategies, err := strategy.Named("ours", "guide")
	if err != nil {
		t.Fatal(err)
	}
	drawn := make(map[string]bool)
	for _, s := range all {
		if drawn[s.Name] {
			continue
		}
		drawn[s.Name] = true
		short := *s
		short.Duration = min(s.Duration, 2*time.Minute)
		var pictures [2][]byte
		for i := range pictures {
			p, err := Play(t.Context(), &short, 3, strategies)
			if err != nil {
				t.Fatal(err)
			}
			pictures[i] = written(t, p)
			for _, r := range p.Runs {
				if want := amount(r.Result.Refused) + " refused (429) of " + amount(r.Result.Sent); !bytes.Contains(pictures[i], []byte(want)) {
					t.Errorf("%s: no %q", s.Name, want)
				}
			}
		}
		texts(t, pictures[0])
		if !bytes.Equal(pictures[0], pictures[1]) {
			t.Errorf("%s: the picture of the same run is another", s.Name)
		}
	}
}

func TestPlayFails(t *testing.T) {
	strategies, err := strategy.Named("ours")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Play(t.Context(), &simulate.Scenario{Name: "none"}, 1, strategies); err == nil || !strings.Contains(err.Error(), "ours, seed 1: ") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Play(ctx, small().Scenario, 1, strategies); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestStep(t *testing.T) {
	for _, tt := range []struct {
		length time.Duration
		most   int
		want   time.Duration
	}{
		{0, 12, time.Millisecond},
		{12 * time.Second, 12, time.Second},
		{12*time.Second + 1, 12, 2 * time.Second},
		{time.Hour, 300, 15 * time.Second},
		{400 * day, 300, 2 * day},
		{400 * day, 12, 50 * day},
	} {
		if got := step(tt.length, tt.most); got != tt.want {
			t.Errorf("step(%v, %d) = %v, want %v", tt.length, tt.most, got, tt.want)
		}
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 20 * time.Millisecond: "20 ms", 1500 * time.Millisecond: "1.5 s", 90 * time.Second: "1.5 min",
		25 * time.Hour: "1.04 d", 1234 * day: "1234 d",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1\u202f000", -1234567: "-1\u202f234\u202f567"} {
		if got := amount(n); got != want {
			t.Errorf("amount(%d) = %q, want %q", n, got, want)
		}
	}
	if got := wrap("one two three four", wide("one two "), 2); strings.Join(got, "|") != "one two|three f…" {
		t.Errorf("wrap gives %q", got)
	}
}

// TestPen holds that a level stretch is one stroke, and that a gap is left open.
func TestPen(t *testing.T) {
	var p pen
	for _, at := range [][2]float64{{0, 5}, {1, 5}, {2, 5}, {3, 7}} {
		p.to(at[0], at[1])
	}
	p.lift()
	p.to(8, 1)
	p.to(9, 1)
	if got, want := p.end(), "M0 5H2L3 7M8 1H9"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
