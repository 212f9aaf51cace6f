package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// What can be wrong with a file, besides what the system says of it. In each case
// it is left as it was.
var (
	// ErrInUse says that another process has the file open.
	ErrInUse = errors.New("another broker has it open: stop that one, or give this one a file of its own under store.path")
	// ErrForeign says that the file is none of this store's.
	ErrForeign = errors.New("it is not a file of quota reservations: give another path under store.path")
	// ErrEmpty says that the file has no bytes, which no store's file ever has.
	ErrEmpty = errors.New("it is empty, so what was in it is lost: restore it from a backup, or remove it to begin anew")
	// ErrNewer says that a later version wrote the file.
	ErrNewer = errors.New("a later version of the broker wrote it: use that version, or give another path under store.path")
)

const (
	// lockTimeout is how long a file is waited for that another process has open.
	lockTimeout = 300 * time.Millisecond
	dirMode     = 0o700
	fileMode    = 0o600
)

// Open opens a file, or makes it, and its directory, where there is none. It
// reads all of it and fails, touching nothing, with a *fs.PathError whose cause
// is [ErrInUse], [ErrForeign], [ErrEmpty], [ErrNewer], [ErrCorrupt] or what the
// system says. The caller closes the store.
func Open(path string) (*Store, error) {
	db, err := openOrMake(path)
	if err != nil {
		return nil, pathError(path, err)
	}
	return &Store{db: db, forgetAt: map[string]uint64{}}, nil
}

// pathError names the file.
func pathError(path string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok && e.Path == path {
		return err
	}
	return &fs.PathError{Op: "open the quota store", Path: path, Err: err}
}

func openOrMake(path string) (*bbolt.DB, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := create(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w (it is no regular file)", ErrForeign)
	case info.Size() == 0:
		return nil, ErrEmpty
	}
	// To open a file for writing may change it: first it must be one of ours.
	db, err := openFile(path, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	err = guarded(func() error { return db.View(verify) })
	if err == nil {
		err = guarded(func() error { return db.View(verifyPages) })
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return openFile(path, &bbolt.Options{})
}

// openFile opens a file that is there.
func openFile(path string, o *bbolt.Options) (db *bbolt.DB, err error) {
	var file *os.File
	o.Timeout, o.NoStatistics = lockTimeout, true
	o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		file, err = os.OpenFile(name, flag&^os.O_CREATE, mode)
		return file, err
	}
	err = guarded(func() error {
		db, err = bbolt.Open(path, fileMode, o)
		return err
	})
	switch {
	case errors.Is(err, ErrCorrupt):
		return nil, errors.Join(err, file.Close()) // which bbolt could not
	case errors.Is(err, bbolterrors.ErrTimeout):
		return nil, ErrInUse
	case errors.Is(err, bbolterrors.ErrInvalid), errors.Is(err, bbolterrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%w (%w)", ErrForeign, err)
	case errors.Is(err, bbolterrors.ErrChecksum):
		return nil, fmt.Errorf("%w (%w)", ErrCorrupt, err)
	}
	return db, err
}

// guarded makes an error of the panics and faults with which bbolt meets a
// damaged file.
func guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = corrupt(short(fmt.Sprint(r)))
		}
	}()
	return do()
}

// short is the beginning of what bbolt says: it may quote whole pages.
func short(text string) string {
	const most = 200
	return text[:min(len(text), most)]
}

// create makes a file that appears under its name only once it is whole, and
// never in the place of another: then it fails with fs.ErrExist.
func create(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, filepath.Base(path)+".new-")
	if err != nil {
		return err
	}
	made := f.Name()
	defer func() { _ = os.Remove(made) }() // the name by which it was made
	if err := errors.Join(f.Close(), format(made)); err != nil {
		return err
	}
	if err := os.Link(made, path); err != nil {
		return err
	}
	return syncDir(dir)
}

// format writes an empty store into an empty file.
func format(path string) error {
	db, err := bbolt.Open(path, fileMode, &bbolt.Options{Timeout: lockTimeout})
	if err != nil {
		return err
	}
	return errors.Join(db.Update(begin), db.Close())
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
