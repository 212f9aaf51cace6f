package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a file. They stand far above what a file needs, and keep what is
// not one from costing memory and time: the parser's time grows with the square
// of the depth, and of the keys of one mapping.
const (
	// MaxSize is the greatest size of a file, in bytes.
	MaxSize = 1 << 20
	// MaxDepth is how deep lists and mappings may be nested in brackets, or by
	// dashes on one line.
	MaxDepth = 32
	// MaxKeys is the greatest number of keys of all mappings together.
	MaxKeys = 50_000
)

// position is a place in the file, from 1; zero is the whole file.
type position struct{ line, column int }

func positionOf(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{}
	}
	return position{t.Position.Line, t.Position.Column}
}

// document is the top of the file's only document; nil when it is empty, or
// when it has a problem.
func (r *reader) document(data []byte) ast.Node {
	if len(data) > MaxSize {
		r.fail(position{}, "file", fmt.Sprintf("more than %d bytes", MaxSize), "too large for a configuration: give the file of the broker")
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if at, ok := firstBad(data); ok {
		r.fail(at, "file", "bytes", "must be UTF-8 without control characters: save it as that")
		return nil
	}
	tokens := lexer.Tokenize(string(data))
	if r.beyondBounds(tokens) {
		return nil
	}
	// Duplicate keys are found where a mapping is read, all of them.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil
	}
	if len(file.Docs) == 0 {
		return nil
	}
	return file.Docs[0].Body
}

// firstBad is where the text stops to be one.
func firstBad(data []byte) (position, bool) {
	at := position{1, 1}
	for len(data) > 0 {
		c, size := utf8.DecodeRune(data)
		if c == utf8.RuneError && size == 1 || c < ' ' && !strings.ContainsRune("\t\r\n", c) || c == 0x7f {
			return at, true
		}
		at.column++
		if c == '\n' {
			at = position{at.line + 1, 1}
		}
		data = data[size:]
	}
	return at, false
}

// beyondBounds reports, of all tokens, the first that is one too many.
func (r *reader) beyondBounds(tokens token.Tokens) bool {
	for _, c := range []struct {
		find   func(token.Tokens) *token.Token
		remedy string
	}{
		{tooDeep, fmt.Sprintf("nested more than %d deep", MaxDepth)},
		{tooMany, fmt.Sprintf("more than %d keys", MaxKeys)},
		{secondDocument, "a second document: put everything into the first"},
	} {
		if t := c.find(tokens); t != nil {
			r.fail(positionOf(t), "file", t.Value, c.remedy)
			return true
		}
	}
	return false
}

// tooDeep is the first token that goes deeper than MaxDepth.
func tooDeep(tokens token.Tokens) *token.Token {
	brackets, dashes, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			dashes, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			brackets++
		case token.MappingEndType, token.SequenceEndType:
			brackets--
		case token.SequenceEntryType, token.MappingKeyType:
			dashes++
		default:
		}
		if brackets > MaxDepth || dashes > MaxDepth {
			return t
		}
	}
	return nil
}

// tooMany is the first key beyond MaxKeys.
func tooMany(tokens token.Tokens) *token.Token {
	keys := 0
	for _, t := range tokens {
		if t.Type == token.MappingValueType {
			keys++
		}
		if keys > MaxKeys {
			return t
		}
	}
	return nil
}

// secondDocument is the first token of a second document, even an empty one.
func secondDocument(tokens token.Tokens) *token.Token {
	begun, ended := false, false
	for _, t := range tokens {
		switch {
		case t.Type == token.CommentType:
		case ended, begun && t.Type == token.DocumentHeaderType:
			return t
		case t.Type == token.DocumentEndType:
			ended = true
		default:
			begun = true
		}
	}
	return nil
}

// syntax reports what the parser says, without its excerpt of the file.
func (r *reader) syntax(err error) {
	at, ok := errors.AsType[yaml.Error](err)
	if !ok {
		r.fail(position{}, "file", "", err.Error())
		return
	}
	shown := ""
	if t := at.GetToken(); t != nil {
		shown = strings.TrimSpace(t.Value)
	}
	r.fail(positionOf(at.GetToken()), "file", shown, "is not YAML: "+printable(at.GetMessage()))
}

// printable is s in one line without control characters.
func printable(s string) string {
	s = strings.ReplaceAll(s, "\t", `\t`)
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 {
			return ' '
		}
		return c
	}, s)
}
