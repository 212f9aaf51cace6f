package deliver

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strings"
)

// Address is where a webhook is. It is a secret: printed or logged, it shows
// nothing of itself. The zero value is of no use.
type Address struct{ url, file string }

// InlineAddress is an address that is given.
func InlineAddress(text string) Address { return Address{url: text} }

// FileAddress is an address that stands in a file. It is read for each
// delivery, so that a new secret needs no restart.
func FileAddress(path string) Address { return Address{file: path} }

// String never shows the address.
func (Address) String() string { return "[redacted]" }

// GoString never shows the address.
func (Address) GoString() string { return "[redacted]" }

// LogValue never shows the address.
func (Address) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalText never shows the address.
func (Address) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// maxAddress is the longest address, in bytes.
const maxAddress = 4096

// Check reports an address that cannot be used now, without showing it.
func (a Address) Check() error {
	_, err := a.resolve()
	return err
}

// resolve is the URL as it is now. Its errors do not show it.
func (a Address) resolve() (*url.URL, error) {
	text := a.url
	if a.file != "" {
		data, err := os.ReadFile(a.file)
		if err != nil {
			if e, ok := errors.AsType[*fs.PathError](err); ok {
				err = e.Err // the path may be a URL in the wrong place
			}
			return nil, fmt.Errorf("the file of the webhook's address: %w", err)
		}
		text = strings.TrimSpace(string(data))
	}
	u, err := url.Parse(text)
	if err != nil || len(text) > maxAddress || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errors.New("the webhook's address must be an http or https URL")
	}
	return u, nil
}
