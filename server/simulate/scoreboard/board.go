package scoreboard

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/quotabroker/quotabroker/server/simulate"
	"github.com/quotabroker/quotabroker/server/simulate/strategy"
)

// The lines between which a scoreboard stands in a file.
const (
	boardBegins = "<!-- scoreboard: `make scoreboard` writes what stands from here -->"
	boardEnds   = "<!-- scoreboard: to here -->"
)

// Board is a scoreboard in Markdown. The zero value is empty.
type Board struct {
	// variants are the rows of each.
	variants [][]Row
}

// Add adds a variant's rows.
func (b *Board) Add(rows []Row) error {
	b.variants = append(b.variants, rows)
	return nil
}

// Insert puts the board into the text of a file, in the place of the one that
// stands there. The error says which marks it misses.
func (b *Board) Insert(file []byte) ([]byte, error) {
	before, rest, begins := bytes.Cut(file, []byte(boardBegins))
	_, after, ends := bytes.Cut(rest, []byte(boardEnds))
	if !begins || !ends {
		return nil, fmt.Errorf("no place for a scoreboard: add the lines %q and %q", boardBegins, boardEnds)
	}
	return slices.Concat(before, []byte(boardBegins+"\n\n"+b.markdown()+boardEnds), after), nil
}

func (b *Board) markdown() string {
	var text strings.Builder
	for len(b.variants) > 0 {
		n := slices.IndexFunc(b.variants, func(rows []Row) bool { return rows[0].Scenario != b.variants[0][0].Scenario })
		if n < 0 {
			n = len(b.variants)
		}
		writeScenario(&text, b.variants[:n])
		b.variants = b.variants[n:]
	}
	return text.String()
}

// writeScenario writes all variants of one.
func writeScenario(text *strings.Builder, variants [][]Row) {
	s := variants[0][0].scenario
	fmt.Fprintf(text, "### %s\n\n%s\n\n", s.Name, strings.TrimSpace(s.About))
	text.WriteString("| strategy | 429s per 10 000 | quota used | goodput | longest lock-out | wait p50 | wait p99 | Jain |\n")
	text.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for i := range variants[0] {
		same := make([]Row, len(variants))
		for v := range variants {
			same[v] = variants[v][i]
		}
		r := pool(same)
		fmt.Fprintf(text, "| %s | %.2f | %s | %s | %s | %s | %s | %.3f |\n", r.Strategy, r.RefusedPer10k,
			percent(r.Used), percent(r.Goodput), short(r.LongestLockout), short(r.WaitP50), short(r.WaitP99), r.Fairness)
	}
	writeOurs(text, variants)
	writeBeaten(text, variants)
}

// writeOurs writes what ours achieves of what is expected, variant by variant.
func writeOurs(text *strings.Builder, variants [][]Row) {
	head := false
	for _, rows := range variants {
		for _, r := range rows {
			if r.Strategy != strategy.Ours {
				continue
			}
			if !head {
				head = true
				text.WriteString("\n| variant | expected | ours: 429s | quota used | |\n|---|---|--:|--:|---|\n")
			}
			verdict := "met"
			if !r.Meets {
				verdict = "**missed:** " + strings.Join(r.Failures, "; ")
			}
			fmt.Fprintf(text, "| %s | %s | %.2f | %s | %s |\n", r.Variant, expected(&r.scenario.Expect), r.BlamedPer10k, percent(r.Used), verdict)
		}
	}
	text.WriteString("\n")
}

// expected is what a scenario expects, in words.
func expected(e *simulate.Expect) string {
	words := []string{fmt.Sprintf("≤ %v 429s", e.Refused)}
	if len(e.Allow) > 0 {
		words[0] += " but for " + strings.Join(forgiven(e), " and ")
	}
	if e.Used > 0 {
		words = append(words, fmt.Sprintf("≥ %v used", e.Used))
	}
	if e.Served > 0 {
		words = append(words, fmt.Sprintf("≥ %v served", e.Served))
	}
	if e.Touched > 0 {
		words = append(words, fmt.Sprintf("≤ %v of buckets with a 429", e.Touched))
	}
	if e.From > 1 {
		words = append(words, fmt.Sprintf("from window %d on", e.From))
	}
	return strings.Join(words, ", ")
}

// forgiven is which 429s are not counted, in words.
func forgiven(e *simulate.Expect) []string {
	var words []string
	for _, f := range e.Allow {
		if f == simulate.ForgivenUnaware {
			words = append(words, "calls under way")
		} else {
			words = append(words, string(f))
		}
	}
	return words
}

// writeBeaten writes where ours is not first, by the reason why.
func writeBeaten(text *strings.Builder, variants [][]Row) {
	var reasons []string
	where := make(map[string][]string)
	for _, rows := range variants {
		how := beaten(rows)
		if how == "" {
			continue
		}
		if v := rows[0].Variant; v != "" {
			how = v + ": " + how
		}
		because := cmp.Or(strings.TrimSpace(rows[0].scenario.Because), "**No reason is given.**")
		if where[because] == nil {
			reasons = append(reasons, because)
		}
		where[because] = append(where[because], how)
	}
	for _, because := range reasons {
		fmt.Fprintf(text, "Where ours is not first:\n\n- %s\n\n%s\n\n", strings.Join(where[because], "\n- "), because)
	}
}
