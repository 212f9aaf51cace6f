package recording

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxLine is the longest line, in bytes: far more than the largest report takes.
const MaxLine = 512 << 10

// Error is a line that is not as it must be.
type Error struct {
	// Line counts from 1.
	Line int
	// Field is the path of the field, such as "acquire.scope.api", Value what stands
	// there, or the beginning of it, and Remedy what would be accepted.
	Field, Value, Remedy string
}

// Error is all of it in one line.
func (e *Error) Error() string {
	return fmt.Sprintf("line %d: %s: %q: %s", e.Line, e.Field, e.Value, e.Remedy)
}

// Read hands over the lines of a file, in its order, each with its number, from 1.
// The error is an [*Error], the reader's or each's own. A line that was cut off by
// a crash is left out: that is the last one, or the last before a recording begins
// anew. The lines handed over are not used again.
func Read(r io.Reader, each func(nth int, l *Line) error) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, MaxLine)
	began := false
	var cut error // of the last line, if it was cut off
	nth := 0
	for scanner.Scan() {
		nth++
		l, err := parse(nth, scanner.Bytes())
		switch torn := new(tornError); {
		case err == nil && !began && l.Began == nil:
			return &Error{nth, "began", shortened(scanner.Bytes()), "is missing: a recording's first line says when it began"}
		case cut != nil && (err != nil || l.Began == nil):
			return cut
		case errors.As(err, &torn):
			cut = torn.Err
			continue
		case err != nil:
			return err
		}
		cut, began = nil, true
		if err := each(nth, l); err != nil {
			return err
		}
	}
	switch err := scanner.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return &Error{nth + 1, "line", "", fmt.Sprintf("is longer than %d bytes: no recording has such lines", MaxLine)}
	case err != nil:
		return err
	case !began && cut != nil:
		return cut
	case !began:
		return &Error{1, "began", "", "is missing: the file is empty"}
	}
	return nil
}

// tornError is of a line that ends before its JSON does.
type tornError struct{ Err error }

func (e *tornError) Error() string { return e.Err.Error() }

// parse reads a line strictly: unknown fields are refused.
func parse(nth int, text []byte) (*Line, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var l Line
	if err := d.Decode(&l); err != nil {
		return nil, explained(nth, text, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, &Error{nth, "line", shortened(text), "must be one JSON object"}
	}
	c := checker{nth: nth}
	l.check(&c)
	if c.err != nil {
		return nil, c.err
	}
	return &l, nil
}

// explained is what the decoder says, in this package's words.
func explained(nth int, text []byte, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return &tornError{&Error{nth, "line", shortened(text), "must be one JSON object"}}
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := wrong.Field
		if field == "" {
			field = "line"
		}
		return &Error{nth, field, wrong.Value, "must be a " + wrong.Type.String()}
	}
	if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		return &Error{nth, "line", strings.Trim(name, `"`), fmt.Sprintf("unknown field: this is not a recording of format %d", Format)}
	}
	return &Error{nth, "line", shortened(text), "must be JSON: " + err.Error()}
}

// shortened is the beginning of a text, for an error.
func shortened(text []byte) string {
	const most = 60
	if len(text) > most {
		return strings.ToValidUTF8(string(text[:most]), "") + "…"
	}
	return string(text)
}
