package recorder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Open opens a file for a recording, at its end: a new one that only its owner may
// read, or one that is there and nobody else may read either. Size and torn are for
// [Options]. It refuses, with what to do about it, anything that is not a file, and
// does not follow a link.
func Open(path string) (file *os.File, size int64, torn bool, err error) {
	if info, err := os.Lstat(path); err == nil {
		if err := acceptable(path, info); err != nil {
			return nil, 0, false, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, false, err
	}
	file, err = os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, 0, false, err
	}
	if size, torn, err = end(file); err != nil {
		return nil, 0, false, errors.Join(err, file.Close())
	}
	return file, size, torn, nil
}

// Rotate puts a recording aside, under the same name with ".1" behind it, where it
// takes the place of the one before; and opens a new file for what follows.
func Rotate(path string) (*os.File, error) {
	if err := os.Rename(path, path+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, _, _, err := Open(path)
	return file, err
}

func acceptable(path string, info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: is no file: name one, or a place for a new one", path)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s: others may read or write it: chmod 600 it, or name a new one", path)
	}
	return nil
}

// end is how long a file is, and whether its last line has no end.
func end(file *os.File) (size int64, torn bool, err error) {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return 0, false, err
	}
	var last [1]byte
	if _, err := file.ReadAt(last[:], info.Size()-1); err != nil {
		return 0, false, err
	}
	return info.Size(), last[0] != '\n', nil
}
