package config

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// File is a configuration file that is read again when it changes. It goes by what
// the file holds, never by its times, so that it follows a link that is pointed
// elsewhere, as Kubernetes does, and a copy that keeps the time. It is not safe for
// concurrent use.
type File struct {
	path string
	// regular is false for a pipe, which can be read only once.
	regular bool
	// taken is what was last read, good or not; seen is the last look.
	taken, seen content
}

// content is a digest of what a file holds, or of why it cannot be read.
type content [sha256.Size]byte

// Open reads a file for the first time. The error is as that of [Load].
func Open(path string) (*File, *Config, error) {
	f := &File{path: path}
	info, err := os.Stat(path)
	f.regular = err == nil && info.Mode().IsRegular()
	data, err := read(path)
	if err != nil {
		return nil, nil, err
	}
	c, err := f.take(data)
	return f, c, err
}

// Read reads the file again, as it is now. The error is as that of [Load].
func (f *File) Read() (*Config, error) {
	if !f.regular {
		return nil, fmt.Errorf("read configuration: %s is not a regular file: it cannot be read again, restart instead", f.path)
	}
	data, err := read(f.path)
	if err != nil {
		f.taken = failure(err)
		return nil, err
	}
	return f.take(data)
}

// Poll looks whether the file holds something else than was last read, and reads
// it once two looks have found the same: what is half written is let be. The error
// is as that of [Load], and comes once for each content. Until then, and where
// nothing changed, fresh is false.
func (f *File) Poll() (c *Config, fresh bool, err error) {
	if !f.regular {
		return nil, false, nil
	}
	data, err := read(f.path)
	now := content(sha256.Sum256(data))
	if err != nil {
		now = failure(err)
	}
	settled := now == f.seen
	f.seen = now
	switch {
	case now == f.taken || !settled:
		return nil, false, nil
	case err != nil:
		f.taken = now
		return nil, true, err
	}
	c, err = f.take(data)
	return c, true, err
}

// Sum tells what was last read from any other content, near enough: the first 48
// bits of its SHA-256, which fit into a float64.
func (f *File) Sum() uint64 {
	return binary.BigEndian.Uint64(f.taken[:8]) >> 16
}

// take parses what was read.
func (f *File) take(data []byte) (*Config, error) {
	f.taken = sha256.Sum256(data)
	f.seen = f.taken
	return Parse(f.path, data)
}

// failure stands for a file that cannot be read.
func failure(err error) content { return sha256.Sum256([]byte("\x00" + err.Error())) }

// read is what the file holds, with one byte more than [Parse] takes if it is too
// large: that is enough to refuse it.
func read(path string) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return data, nil
}
