package recorder

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// files opens one after the other, or fails.
type files struct {
	all []*memory
	err error
}

func (f *files) next() (File, error) {
	if f.err != nil {
		return nil, f.err
	}
	f.all = append(f.all, &memory{room: 1 << 20})
	return f.all[len(f.all)-1], nil
}

// TestRotates holds that no file becomes longer than it may, that each is a recording
// by itself, of the time that it is of, and that together they have all there is.
func TestRotates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, calls = 2000, 100
		began, f := time.Now(), &files{}
		first, _ := f.next()
		r := recorded(t, first, Options{MaxSize: most, Next: f.next})
		r.Configured(linkedin(t))
		for range calls {
			time.Sleep(time.Minute)
			_ = Broker{&stub{}, r}.Release(t.Context(), "svc", "the-permit")
			synctest.Wait()
		}
		closed(t, r)
		minutes, permit := 0, ""
		for i, file := range f.all {
			lines := read(t, file.String())
			if len(file.String()) > most || !file.closed || len(lines) < 3 || lines[1].Config == nil {
				t.Fatalf("file %d, closed %v, of %d bytes:\n%s", i, file.closed, len(file.String()), file)
			}
			for _, l := range lines[2:] {
				minutes++
				if at := lines[0].Began.Wall.Add(l.At()); !at.Equal(began.Add(time.Duration(minutes) * time.Minute)) {
					t.Errorf("file %d, call %d: at %v", i, minutes, at)
				}
				if permit == "" {
					permit = l.Release.Permit
				}
				if l.Release.Permit != permit {
					t.Errorf("file %d: the permit is %s, and was %s", i, l.Release.Permit, permit)
				}
			}
		}
		if minutes != calls || len(f.all) < 5 {
			t.Errorf("%d of %d calls in %d files", minutes, calls, len(f.all))
		}
	})
}

// TestRotatesAtOnce holds that a recording that is long enough already goes on in
// another file, whatever the end of the old one.
func TestRotatesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, f := &memory{room: 1 << 20}, &files{}
		r := recorded(t, old, Options{Size: 5000, Torn: true, MaxSize: 2000, Next: f.next})
		r.Configured(linkedin(t))
		closed(t, r)
		if old.String() != "" || !old.closed || len(f.all) != 1 || len(read(t, f.all[0].String())) != 2 {
			t.Errorf("%q and then %d files", old, len(f.all))
		}
	})
}

// TestCannotRotate holds that the bound is kept where no other file can be opened: what
// happens is lost, which is said once and counted, until one can.
func TestCannotRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		f := &files{}
		first, _ := f.next()
		f.err = errors.New("the directory is gone")
		r := recorded(t, first, Options{MaxSize: 1000, Next: f.next, Log: slog.New(slog.NewTextHandler(&log, nil))})
		release := func(n int) {
			for range n {
				_ = Broker{&stub{}, r}.Release(t.Context(), "svc", "p")
				synctest.Wait()
			}
		}
		release(30)
		kept := len(read(t, f.all[0].String()))
		f.err = nil
		release(2)
		closed(t, r)
		if len(f.all) != 2 || len(f.all[0].String()) > 1000 || kept < 5 || kept > 20 || len(read(t, f.all[1].String())) != 3 {
			t.Errorf("%d lines, then %q", kept, f.all[len(f.all)-1])
		}
		if n := strings.Count(log.String(), "the directory is gone"); n != 1 || strings.Count(log.String(), "can be written again") != 1 {
			t.Errorf("the log has\n%s", &log)
		}
		if lost := count(t, r.writer.lines.failed); lost != float64(31-kept) {
			t.Errorf("%v lines are counted as lost of %d", lost, 31-kept)
		}
	})
}

// TestRotate holds that of the files that were put aside the last is kept, for its
// owner only, and that a rotation that was begun and not ended goes on.
func TestRotate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for i := range 4 {
		if i == 3 {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		file, err := Rotate(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString(strings.Repeat("x", i)); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{path: "xxx", path + ".1": "x"} {
		text, err := os.ReadFile(name)
		if err != nil || string(text) != want {
			t.Errorf("%s: %q, %v, want %q", name, text, err, want)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
