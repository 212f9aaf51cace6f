package wire

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// query is what a PromQL expression asks for.
type query struct {
	metrics []string
	// labels are those that it groups and selects by, matched the values that it
	// compares them with.
	labels  []string
	matched map[string]string
}

var (
	tokens     = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[a-zA-Z_:][a-zA-Z0-9_:]*|[0-9][0-9a-zA-Z.]*|=~|!~|!=|\S`)
	identifier = regexp.MustCompile(`^[a-zA-Z_:]`)
	mentioned  = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-zA-Z_]+)\s*(?:\||\}\})`)
	// grouping are the words before labels in parentheses, operators those that
	// are neither a function nor a metric.
	grouping  = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}
	operators = []string{"and", "or", "unless", "offset", "bool"}
)

// parseQuery reads as much of an expression as it takes to know what it asks for.
func parseQuery(expression string) query {
	q := query{matched: map[string]string{}}
	list := tokens.FindAllString(expression, -1)
	at := func(i int) string {
		if i < len(list) {
			return list[i]
		}
		return ""
	}
	for i := 0; i < len(list); i++ {
		switch word := list[i]; {
		case slices.Contains(grouping, word):
			for i += 2; at(i) != ")" && at(i) != ""; i++ {
				if at(i) != "," {
					q.labels = append(q.labels, at(i))
				}
			}
		case word == "{":
			for i++; at(i) != "}" && at(i) != ""; i++ {
				if !identifier.MatchString(at(i)) {
					continue
				}
				q.labels = append(q.labels, at(i))
				if op := at(i + 1); op == "=" || op == "!=" {
					q.matched[at(i)] = strings.Trim(at(i+2), `"`)
				}
			}
		case !identifier.MatchString(word), slices.Contains(operators, word):
		case at(i+1) == "(" || slices.Contains(grouping, at(i+1)): // a function
		default:
			q.metrics = append(q.metrics, word)
		}
	}
	return q
}

// labelsIn is the labels that a legend or an annotation shows.
func labelsIn(text string) []string {
	var labels []string
	for _, m := range mentioned.FindAllStringSubmatch(text, -1) {
		labels = append(labels, m[1])
	}
	return labels
}

func TestParseQuery(t *testing.T) {
	q := parseQuery(`sum by (a, b) (rate(m_total{c="x, } y", d=~"z"}[5m])) / on (e) group_left(f) (n:o > bool 1e3) unless absent(p) or sum(q) by (g)`)
	if got := strings.Join(q.metrics, " "); got != "m_total n:o p q" {
		t.Errorf("metrics %s", got)
	}
	if got := strings.Join(q.labels, " "); got != "a b c d e f g" {
		t.Errorf("labels %s", got)
	}
	if len(q.matched) != 1 || q.matched["c"] != "x, } y" {
		t.Errorf("matched %v", q.matched)
	}
	if got := strings.Join(labelsIn("{{ $labels.a }} and {{b}}, {{ $value | humanize }}, {{ $labels.c | title }}"), " "); got != "a b c" {
		t.Errorf("mentioned %s", got)
	}
}
