package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/bolt"
)

// filled is a file with a few shards, some of them with many records.
func filled(t *testing.T) (path string) {
	t.Helper()
	path = inTemp(t)
	store := open(t, path)
	for i, app := range []string{"one", "two", "three"} {
		id := broker.Shard{API: "linkedin", App: app}
		epoch, _, err := store.Own(t.Context(), id, "owner")
		if err != nil {
			t.Fatal(err)
		}
		var records []quota.Reservation
		for u := range 1 + 60*i {
			records = append(records, record(app, strings.Repeat("u", u+1), 1, 50, 40))
		}
		if err := store.Reserve(t.Context(), id, epoch, records); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func record(app, user string, began, reserved, settled int64) quota.Reservation {
	return quota.Reservation{
		Limit: "member-day", Key: quota.Scope{API: "linkedin", App: app, User: user},
		Began: began, Quota: 100, Reserved: reserved, Settled: settled,
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Files that are none, or not ours, are refused, each with its own words, and
// left as they were.
func TestRefusedFiles(t *testing.T) {
	whole := read(t, filled(t))
	for _, tt := range []struct {
		name  string
		data  []byte
		build func(t *testing.T, path string)
		want  error
		says  string
	}{
		{name: "zero-length", data: []byte{}, want: bolt.ErrEmpty, says: "is empty"},
		{name: "one byte", data: []byte("x"), want: bolt.ErrForeign, says: "not a file of quota reservations"},
		{name: "all zero", data: make([]byte, len(whole)), want: bolt.ErrForeign, says: "not a file of quota reservations"},
		{name: "text", data: bytes.Repeat([]byte("store: {kind: bolt}\n"), 9_000), want: bolt.ErrForeign, says: "not a file of quota reservations"},
		{name: "another program's", build: foreign, want: bolt.ErrForeign, says: "not a file of quota reservations"},
		{name: "newer", build: versioned("2"), want: bolt.ErrNewer, says: "version 2 of the format; this one knows up to 1"},
		{name: "no version", build: versioned("one"), want: bolt.ErrCorrupt, says: `its version is "one"`},
		{name: "a record lost", build: losing(false), want: bolt.ErrCorrupt, says: "records are not those"},
		{name: "a shard lost", build: losing(true), want: bolt.ErrCorrupt, says: "a shard is missing"},
		{name: "a directory", build: func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) }, want: bolt.ErrForeign, says: "no regular file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := inTemp(t)
			if tt.build != nil {
				tt.build(t, path)
			} else {
				must(t, os.WriteFile(path, tt.data, 0o600))
			}
			before := snapshot(t, filepath.Dir(path))
			store, err := bolt.Open(path)
			if store != nil || !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, %v", store, err)
			}
			if after := snapshot(t, filepath.Dir(path)); !reflect.DeepEqual(after, before) {
				t.Error("something was touched")
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// snapshot is the files of a directory by name.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files[path] = string(read(t, path))
		}
		return err
	}))
	return files
}

func foreign(t *testing.T, path string) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true})
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("theirs"))
		return err
	}))
	must(t, db.Close())
}

func versioned(text string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		store := open(t, path)
		must(t, store.SetVersion(text))
		must(t, store.Close())
	}
}

func losing(whole bool) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		must(t, os.Rename(filled(t), path))
		store := open(t, path)
		must(t, store.Lose(whole))
		must(t, store.Close())
	}
}

// The second broker with the same file is told so at once, and the first one is
// not disturbed.
func TestSecondIsRefused(t *testing.T) {
	path := inTemp(t)
	first := open(t, path)
	if store, err := bolt.Open(path); store != nil || !errors.Is(err, bolt.ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Fatalf("got %v, %v", store, err)
	}
	if _, _, err := first.Own(t.Context(), broker.Shard{API: "a"}, "o"); err != nil {
		t.Error(err)
	}
	must(t, first.Close())
	open(t, path)
}

// The directory is made when it is missing, and nobody else can read what is in
// it.
func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "for", "it")
	path := filepath.Join(dir, "quotabroker.db")
	open(t, path)
	for name, want := range map[string]fs.FileMode{dir: 0o700, path: 0o600} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
	if files := snapshot(t, dir); len(files) != 1 {
		t.Errorf("%d files were left", len(files))
	}
}

// A place where no file can be made is an error that names it.
func TestReadOnlyDirectory(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o500))
	if os.Geteuid() == 0 {
		dir = "/proc/self" // where not even root can
	}
	path := filepath.Join(dir, "quotabroker.db")
	store, err := bolt.Open(path)
	if store != nil || err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, %v", store, err)
	}
}

// contents is all that a file records.
func contents(t *testing.T, path string) string {
	t.Helper()
	store := open(t, path)
	var text strings.Builder
	for _, app := range []string{"one", "two", "three"} {
		epoch, records, err := store.Own(t.Context(), broker.Shard{API: "linkedin", App: app}, "o")
		must(t, err)
		fmt.Fprintf(&text, "%s after %v: %+v\n", app, epoch >= 2, records)
	}
	must(t, store.Close())
	return text.String()
}

// damagedFile names, in the environment, the file that a process of its own is to
// read: bbolt can crash on a damaged one, and that is as good as an error.
const damagedFile = "BOLT_TEST_DAMAGED_FILE"

func TestReadDamagedFile(t *testing.T) {
	path := os.Getenv(damagedFile)
	if path == "" {
		t.Skip("run by TestDamageIsFound")
	}
	must(t, os.WriteFile(path+".read", []byte(contents(t, path)), 0o600))
}

// readAlone is what another process reads of a file; false when that fails.
func readAlone(t *testing.T, data []byte) (string, bool) {
	t.Helper()
	path := inTemp(t)
	must(t, os.WriteFile(path, data, 0o600))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReadDamagedFile$")
	cmd.Env = append(os.Environ(), damagedFile+"="+path)
	if err := cmd.Run(); err != nil {
		return "", false
	}
	return string(read(t, path+".read")), true
}

// A flipped bit is found, or was in a byte that nothing uses; a file that was cut
// off is refused. What is damaged is never used, and never as if it were empty.
// The two first pages are bbolt's own: when one of them is damaged it goes back to
// the other, and so to the commit before.
func TestDamageIsFound(t *testing.T) {
	const firstPages = 2 * 4096
	path := filled(t)
	whole := read(t, path)
	want, ok := readAlone(t, whole)
	if !ok || want == "" {
		t.Fatal("the whole file cannot be read")
	}
	random := rand.New(rand.NewPCG(1, 2))
	found, tries, cuts := 0, 200, 32
	if testing.Short() {
		tries, cuts = 20, 4
	}
	for range tries {
		at, bit := firstPages+random.IntN(len(whole)-firstPages), random.IntN(8)
		copied := bytes.Clone(whole)
		copied[at] ^= 1 << bit
		got, ok := readAlone(t, copied)
		if !ok {
			found++
		} else if got != want {
			t.Fatalf("bit %d of byte %d: other records were used: %s", bit, at, got)
		}
	}
	if found == 0 {
		t.Error("no flip was found")
	}
	t.Logf("%d of %d flips were found; the others were in bytes that nothing uses", found, tries)
	for i := range cuts {
		if got, ok := readAlone(t, whole[:len(whole)*i/cuts]); ok && got != want {
			t.Fatalf("cut off at %d of %d: other records were used", i, cuts)
		}
	}
}
