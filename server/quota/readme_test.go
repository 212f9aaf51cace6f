package quota

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// readmeRows is the worked example of the README: the numbers of each row of its
// table, without the first two columns.
func readmeRows(t *testing.T) [][]int64 {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "<!-- worked example -->\n")
	table, _, end := strings.Cut(rest, "<!-- end -->")
	if !ok || !end {
		t.Fatal("README.md has no worked example between its marks")
	}
	var rows [][]int64
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) < 3 || !strings.HasSuffix(strings.TrimSpace(cells[0]), " s") {
			continue
		}
		var row []int64
		for _, c := range cells[2:] {
			n, err := strconv.ParseInt(strings.TrimSpace(c), 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			row = append(row, n)
		}
		rows = append(rows, row)
	}
	return rows
}

// The README's worked example is what really happens.
func TestReadmeExample(t *testing.T) {
	s := newSteps(t, Limit{
		Name: "app", Quota: 10, Provenance: Configured,
		Window: Window{Kind: Fixed, Period: 10 * time.Second, Aligned: true},
	})
	const began = 20 // the window of the example, in seconds since the steps' zero
	s.released(0, s.take(0))
	permits := map[string]*Permit{}
	take := func(at float64, names ...string) {
		for _, name := range names {
			permits[name] = s.take(began + at)
		}
	}
	answer := func(at float64, name string, a Answer) { s.settle(began+at, permits[name], a) }
	rows := readmeRows(t)
	row := func(sec float64) {
		t.Helper()
		if len(rows) == 0 {
			t.Fatal("the README has fewer rows")
		}
		s.l.Advance(at0(began + sec))
		b := s.bucketOf("app")
		b.advance(at(at0(began + sec)))
		got := []int64{b.m, b.a - b.aCov, b.n, b.lost, b.o, b.available()}
		if !slices.Equal(got, rows[0]) {
			t.Errorf("at %v s it is %v, and the README has %v", sec, got, rows[0])
		}
		rows = rows[1:]
	}
	row(1)
	take(1, "A", "B", "C")
	row(1)
	answer(1.2, "B", numbers(10, 7))
	row(1.2)
	answer(1.3, "A", Answer{})
	row(1.3)
	row(4) // C lapses
	take(5, "D")
	answer(5.2, "D", numbers(10, 6))
	row(5.2)
	take(9.4, "E", "F")
	row(9.4)
	row(10.5)
	answer(10.6, "E", numbersReset(10, 9, 9400*time.Millisecond))
	row(10.6)
	answer(10.7, "F", Answer{})
	row(10.7)
	take(11, "G")
	answer(11.2, "G", numbersReset(10, 6, 8800*time.Millisecond))
	row(11.2)
	if others := s.l.Status(at0(began+11.2), s.bucketOf("app")).Others; others != 1 {
		t.Errorf("%d by others, and the README says 1", others)
	}
	take(12, "H")
	answer(12.2, "H", refused(numbersReset(10, 0, 7800*time.Millisecond)))
	row(12.2)
	s.denied(began+13, CoolingDown)
	row(20.5)
	s.take(began + 20.5)
	if len(rows) > 0 {
		t.Errorf("the README has %d rows more", len(rows))
	}
}
