package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/quotabroker/quotabroker/"

// The names that the tables give to what is far away.
var (
	transports = []string{"google.golang.org/grpc/...", module + "gen/..."}
	engines    = []string{module + "server/store/...", "go.etcd.io/bbolt/...", "github.com/redis/..."}
	rooms      = []string{module + "server/...", module + "client/...", module + "gen/...", module + "cmd/..."}
)

// rule is what packages must not import, and why.
type rule struct {
	// packages is a pattern of [path.Match] below the module's root; it must
	// match a package.
	packages string
	// direct is what their own files must not import, deps also what those
	// import in turn. A pattern that ends in "/..." has what is below it too.
	direct, deps []string
	why          string
}

// table is the import table of the design. It speaks of files that are not
// tests.
var table = []rule{
	{
		packages: "server/quota",
		direct:   []string{"context", "sync/...", "log/...", "io/...", "os/...", "testing/..."},
		deps:     slices.Concat([]string{"net/..."}, transports, rooms),
		why:      "the core is pure: time is an argument, and nothing in it waits, locks, logs or speaks",
	},
	{
		packages: "server/queue",
		direct:   []string{"context", "sync/...", "log/...", "io/...", "os/...", "testing/..."},
		deps:     slices.Concat([]string{"net/..."}, transports, engines, []string{module + "server/broker", module + "client/..."}),
		why:      "who goes next is as pure as what may go",
	},
	{
		packages: "server/dialect",
		direct:   []string{"context", "sync/...", "log/...", "os/...", "net", "net/http/..."},
		deps:     slices.Concat(transports, engines, []string{module + "server/broker", module + "client/..."}),
		why:      "a dialect is a function of a response",
	},
	{
		packages: "server/broker",
		direct:   []string{"net/..."},
		deps:     slices.Concat([]string{"net/http/..."}, transports, engines, []string{module + "server", module + "client/..."}),
		why:      "the use cases declare the store they need, and know no way in",
	},
	{
		packages: "server/store/memory",
		deps:     slices.Concat(transports, []string{module + "server/store/storetest", module + "server/store/bolt", module + "server/store/redis"}),
		why:      "an engine knows the contract and itself",
	},
	{
		packages: "server/store/bolt",
		deps:     slices.Concat(transports, []string{module + "server/store/storetest", module + "server/store/memory", module + "server/store/redis"}),
		why:      "an engine knows the contract and itself",
	},
	{
		packages: "server/store/storetest",
		deps:     slices.Concat(transports, []string{module + "server/store/memory", module + "server/store/bolt", module + "server/store/redis"}),
		why:      "one suite for every engine, favouring none",
	},
	{
		packages: "server/alert",
		direct:   []string{"context", "sync/...", "log/...", "io/...", "os/...", "net/..."},
		deps:     slices.Concat(transports, engines, []string{module + "server/broker", module + "client/..."}),
		why:      "what is worth an alert is decided by a status and the time alone",
	},
	{
		packages: "server/alert/deliver",
		deps:     slices.Concat(transports, engines, []string{module + "server", module + "client/..."}),
		why:      "alerts follow the use cases, whatever the way in and the store",
	},
	{
		// otelgrpc brings grpc along, so only the direct imports can be held; stats
		// is what a handler of spans is handed over as.
		packages: "server/telemetry",
		direct:   []string{"google.golang.org/grpc", "net/...", module + "gen/...", module + "server", module + "server/config"},
		deps:     slices.Concat(engines, []string{module + "gen/...", module + "client/..."}),
		why:      "what is shown of a broker depends on no way in and on no store",
	},
	{
		packages: "server/recording",
		direct:   []string{"context", "sync/...", "log/...", "os/...", "net/..."},
		deps:     slices.Concat(transports, rooms),
		why:      "a recording's form is known by whoever writes or reads one, and knows neither",
	},
	{
		packages: "server/recorder",
		deps:     slices.Concat(engines, []string{module + "client/..."}),
		why:      "what is recorded of a broker depends on no store",
	},
	{
		packages: "server/config",
		deps:     slices.Concat(transports, []string{module + "server/broker", module + "client/..."}),
		why:      "a configuration is limits, whoever uses them",
	},
	{
		packages: "server/rest",
		deps:     slices.Concat(engines, []string{module + "client/..."}),
		why:      "the HTTP side is given what it shows",
	},
	{
		packages: "server",
		deps:     slices.Concat(engines, []string{module + "client/..."}),
		why:      "the gRPC side is given a broker, whatever store that has",
	},
	{
		packages: "server/simulate",
		direct:   []string{"context", "sync/...", "log/...", "os/..."},
		deps:     slices.Concat([]string{"net/..."}, transports, rooms),
		why:      "the judge shares no code with the judged, and has virtual time",
	},
	{
		packages: "server/simulate/*",
		direct:   []string{"log/...", "os/...", "net/..."},
		deps:     slices.Concat(transports, engines, []string{module + "server/broker", module + "client/..."}),
		why:      "a simulated run has virtual time, and no process or network",
	},
	{
		// grpc itself imports net/http, so only the direct import can be held.
		packages: "client",
		direct:   []string{"net/http/..."},
		deps:     []string{module + "server/...", module + "cmd/..."},
		why:      "client and server meet only in gen; HTTP is quotahttp's",
	},
	{
		packages: "client/*",
		deps:     []string{module + "server/...", module + "cmd/..."},
		why:      "client and server meet only in gen",
	},
	{
		packages: "gen/quotabroker/v1",
		deps:     []string{module + "server/...", module + "client/...", module + "cmd/..."},
		why:      "the contract depends on neither side",
	},
	{
		packages: "cmd/quotabroker",
		direct:   slices.Concat([]string{module + "server/quota", module + "server/dialect", module + "server/broker"}, engines, transports),
		why:      "commands wire parts together: what they mean is decided inside",
	},
}

// importers holds who alone may import a package from files that are not tests.
var importers = []struct {
	target  string
	allowed []string
	why     string
}{
	{module + "gen/quotabroker/v1", []string{"server", "client", "client/quotaadmin", "client/clienttest"}, "protos stop at the transport"},
	{module + "client/clienttest", nil, "it is for tests"},
	{module + "server/store/storetest", nil, "it is for tests"},
	{"testing", []string{"client/clienttest", "server/store/storetest"}, "it is for tests"},
}

// listed is what go list says of a package.
type listed struct {
	ImportPath    string
	Imports, Deps []string
	Error         *struct{ Err string }
}

// name is the package's place below the module's root.
func (p listed) name() string { return strings.TrimPrefix(p.ImportPath, module) }

// covers reports whether a pattern means the import path.
func covers(pattern, importPath string) bool {
	if root, ok := strings.CutSuffix(pattern, "/..."); ok {
		return importPath == root || strings.HasPrefix(importPath, root+"/")
	}
	return importPath == pattern
}

// broken is each import that the rules forbid, and each rule that speaks of no
// package.
func broken(rules []rule, packages []listed) []string {
	var found []string
	for _, r := range rules {
		matched := false
		for _, p := range packages {
			if ok, _ := path.Match(r.packages, p.name()); !ok {
				continue
			}
			matched = true
			found = append(found, forbidden(p, "imports", r.direct, p.Imports, r.why)...)
			found = append(found, forbidden(p, "depends on", r.deps, p.Deps, r.why)...)
		}
		if !matched {
			found = append(found, fmt.Sprintf("%s: no such package: correct the table", r.packages))
		}
	}
	return found
}

func forbidden(p listed, verb string, patterns, imports []string, why string) []string {
	var found []string
	for _, i := range imports {
		covered := func(pattern string) bool { return covers(pattern, i) }
		if i != p.ImportPath && slices.ContainsFunc(patterns, covered) {
			found = append(found, fmt.Sprintf("%s %s %s: %s", p.name(), verb, strings.TrimPrefix(i, module), why))
		}
	}
	return found
}

// listPackages asks the go command for every package of the module.
func listPackages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,Deps,Error", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, stderr.String())
	}
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Error != nil {
			t.Errorf("%s: %s", p.ImportPath, p.Error.Err)
		}
		packages = append(packages, p)
	}
}

func TestImportTable(t *testing.T) {
	packages := listPackages(t)
	for _, violation := range broken(table, packages) {
		t.Error(violation)
	}
	for _, i := range importers {
		for _, p := range packages {
			if slices.Contains(p.Imports, i.target) && !slices.Contains(i.allowed, p.name()) {
				t.Errorf("%s imports %s: %s", p.name(), i.target, i.why)
			}
		}
	}
}

// TestImportTableCanFail holds the checker itself: with rules that must be
// broken, it has to say so.
func TestImportTableCanFail(t *testing.T) {
	packages := []listed{
		{ImportPath: module + "server", Imports: []string{"net", module + "gen/quotabroker/v1"}, Deps: []string{"net", "net/netip", module + "gen/quotabroker/v1"}},
		{ImportPath: module + "server/quota", Imports: []string{"time"}, Deps: []string{"time", "sync"}},
		{ImportPath: module + "server/rest"},
	}
	for _, tt := range []struct {
		name string
		rule rule
		want []string
	}{
		{"a direct import", rule{packages: "server", direct: []string{"net/..."}, why: "w"}, []string{"server imports net: w"}},
		{"an indirect one", rule{packages: "server", direct: []string{"net/netip"}, deps: []string{"net/netip"}, why: "w"}, []string{"server depends on net/netip: w"}},
		{"within the module", rule{packages: "server", deps: []string{module + "gen/..."}, why: "w"}, []string{"server depends on gen/quotabroker/v1: w"}},
		{"a package that is not there", rule{packages: "server/gone", why: "w"}, []string{"server/gone: no such package: correct the table"}},
		{"children alone", rule{packages: "server/*", deps: []string{"sync"}, why: "w"}, []string{"server/quota depends on sync: w"}},
		{"nothing", rule{packages: "server/quota", direct: []string{"sync", "ti/..."}, deps: []string{"tim", module + "server/..."}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := broken([]rule{tt.rule}, packages); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
