package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the module's, as seen from this package.
const root = "../.."

// What a reader must be able to take in.
const (
	maxFileLines     = 400
	maxFunctionLines = 40
)

// atTop is what may stand at the top besides dot files.
var atTop = []string{
	"go.mod", "go.sum", "proto", "gen", "server", "client", "cmd", "buf.yaml", "Makefile", "README.md", "LICENSE",
	// Not part of the source: what building and running leave behind.
	"bin", "data", "coverage.out",
}

// vague names say nothing of what is inside.
var vague = []string{"util", "utils", "common", "impl", "helpers", "misc", "internal", "pkg"}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(atTop, e.Name()) {
			t.Errorf("%s stands at the top: its place is beside the code it belongs to", e.Name())
		}
	}
}

// TestHouse reads every file that is not a test and not generated.
func TestHouse(t *testing.T) {
	comments := make(map[string]int) // by directory
	files := 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := e.Name()
		if e.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata") || path == filepath.Join(root, "gen") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		documented, problems := inspect(path, source)
		if documented {
			comments[filepath.Dir(path)]++
		} else {
			comments[filepath.Dir(path)] += 0
		}
		for _, p := range problems {
			t.Error(p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Fatal("no files were found")
	}
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("%s has %d package comments: it needs one, in doc.go", dir, n)
		}
	}
}

// inspect is what is wrong with one file, and whether it has the package
// comment.
func inspect(path string, source []byte) (documented bool, problems []string) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return false, []string{err.Error()}
	}
	complain := func(n ast.Node, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%s: %s", fset.Position(n.Pos()), fmt.Sprintf(format, args...)))
	}
	if n := bytes.Count(source, []byte("\n")); n > maxFileLines {
		complain(f, "%d lines: at most %d", n, maxFileLines)
	}
	if slices.Contains(vague, f.Name.Name) {
		complain(f.Name, "package %s: name it after what is inside", f.Name.Name)
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			inspectFunction(fset, d, complain)
		case *ast.GenDecl:
			inspectNames(d, complain)
		}
	}
	return f.Doc != nil, problems
}

func inspectFunction(fset *token.FileSet, d *ast.FuncDecl, complain func(ast.Node, string, ...any)) {
	name := d.Name.Name
	if lines := fset.Position(d.End()).Line - fset.Position(d.Pos()).Line + 1; lines > maxFunctionLines {
		complain(d, "%s has %d lines: at most %d", name, lines, maxFunctionLines)
	}
	if name == "init" && d.Recv == nil {
		complain(d, "init: nothing happens before main")
	}
	if after, ok := strings.CutPrefix(name, "Get"); ok && after != "" && ast.IsExported(after) {
		complain(d, "%s: leave the Get out", name)
	}
	if d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil {
		complain(d, "%s is exported and has no comment", name)
	}
}

// exportedReceiver is true for a function, and for a method of an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	receiver := d.Recv.List[0].Type
	for {
		switch r := receiver.(type) {
		case *ast.StarExpr:
			receiver = r.X
		case *ast.IndexExpr: // its type parameters are not what it is called
			receiver = r.X
		case *ast.IndexListExpr:
			receiver = r.X
		default:
			id, ok := r.(*ast.Ident)
			return ok && id.IsExported()
		}
	}
}

// inspectNames reports exported types, constants and variables without a
// comment of their own, of their line, or of their group.
func inspectNames(d *ast.GenDecl, complain func(ast.Node, string, ...any)) {
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
				complain(s, "%s is exported and has no comment", s.Name.Name)
			}
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
					complain(s, "%s is exported and has no comment", name.Name)
				}
			}
		}
	}
}

// TestHouseCanFail holds the inspector itself: each fault must be found, and a
// file without any must pass.
func TestHouseCanFail(t *testing.T) {
	const head = "// Package p is p.\npackage p\n"
	for _, tt := range []struct {
		name, source, want string
	}{
		{"long file", head + strings.Repeat("\n", maxFileLines), "402 lines: at most 400"},
		{"long function", head + "func f() {\n" + strings.Repeat("\tf()\n", maxFunctionLines) + "}\n", "f has 42 lines: at most 40"},
		{"init", head + "func init() {}\n", "init: nothing happens before main"},
		{"getter", head + "func GetX() {}\n", "GetX: leave the Get out"},
		{"function", head + "func F() {}\n", "F is exported and has no comment"},
		{"method", head + "func (p *P[T]) F() {}\n", "F is exported and has no comment"},
		{"type", head + "type T int\n", "T is exported and has no comment"},
		{"constant", head + "const (\n\ta = 1\n\tB = 2\n)\n", "B is exported and has no comment"},
		{"package name", "package util\n", "package util: name it after what is inside"},
		{"syntax", head + "func", "expected 'IDENT'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, problems := inspect("p.go", []byte(tt.source))
			if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, tt.want) }) {
				t.Errorf("got %q, want %q", problems, tt.want)
			}
		})
	}
	good := head + "// T is one.\ntype T int\n\n// F does.\nfunc F() {}\n\nfunc (t t) Getting() {}\n\nfunc (t *u[T]) Unseen() {}\n"
	if documented, problems := inspect("p.go", []byte(good)); !documented || problems != nil {
		t.Errorf("got %v, %q for a good file", documented, problems)
	}
	if documented, _ := inspect("p.go", []byte("package p\n")); documented {
		t.Error("found a package comment where there is none")
	}
}
