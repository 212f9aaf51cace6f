package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/quotabroker/quotabroker/server/quota"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	// File is the name of the file.
	File string
	// Line and Column count from 1, the column in characters; both are 0 when
	// the whole file is meant.
	Line, Column int
	// Field is the path of the field from the top, such as
	// "apis.linkedin.limits[0].quota"; "file" at the top itself.
	Field string
	// Value is what stands there, or a sign for it where that is long.
	Value string
	// Remedy says what would be accepted.
	Remedy string
}

// String is the problem in one line without control characters:
// file:line:column, field, value and remedy.
func (p Problem) String() string {
	what := &quota.FieldError{Field: p.Field, Value: p.Value, Remedy: p.Remedy}
	if p.Line == 0 {
		return fmt.Sprintf("%s: %v", p.File, what)
	}
	return fmt.Sprintf("%s:%d:%d: %v", p.File, p.Line, p.Column, what)
}

// Error is all that is wrong with one file.
type Error struct {
	// Problems are in the order of the file, the first hundred found; there is
	// at least one.
	Problems []Problem
}

// Error has one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// mostProblems keeps the report of a hopeless file within what can be read.
const mostProblems = 100

// reader gathers the problems of one file.
type reader struct {
	file     string
	problems []Problem
}

func (r *reader) fail(at position, field, shown, remedy string) {
	if len(r.problems) < mostProblems {
		r.problems = append(r.problems, Problem{r.file, at.line, at.column, field, shown, remedy})
	}
}

// err is nil, not an empty *Error, when nothing is wrong.
func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Error{r.problems}
}
