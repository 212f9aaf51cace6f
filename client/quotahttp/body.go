package quotahttp

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/quotabroker/quotabroker/client"
)

// onEnd calls finish once the body has been read to its end or closed. What can
// be written to, the connection of a protocol switch, stays so.
func onEnd(body io.ReadCloser, finish func()) io.ReadCloser {
	if body == nil || body == http.NoBody {
		finish()
		return http.NoBody
	}
	e := &ending{ReadCloser: body, finish: finish}
	if w, ok := body.(io.Writer); ok {
		return struct {
			*ending
			io.Writer
		}{e, w}
	}
	return e
}

type ending struct {
	io.ReadCloser
	finish func()
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	if err != nil {
		e.finish()
	}
	return n, err
}

func (e *ending) Close() error {
	err := e.ReadCloser.Close()
	e.finish()
	return err
}

// patience is how long the start of a body is waited for.
const patience = 250 * time.Millisecond

// excerpt is the start of a response's body as a dialect can read it, and a body
// that still has all of it.
func excerpt(resp *http.Response) ([]byte, io.ReadCloser) {
	_, switched := resp.Body.(io.Writer)
	if resp.Body == http.NoBody || switched {
		return nil, resp.Body
	}
	body := &peeked{body: resp.Body, through: make(chan struct{})}
	start := body.peek()
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		start = gunzip(start)
	}
	return start, body
}

// gunzip is as much of the plain text as the start of a compressed one gives.
func gunzip(start []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(start))
	if err != nil {
		return nil
	}
	plain, _ := io.ReadAll(io.LimitReader(r, client.MaxBodyExcerpt)) // cut short as it is, it ends in an error
	return plain
}

// peeked is a body whose start is read ahead.
type peeked struct {
	body    io.ReadCloser
	through chan struct{} // closed when nothing is read ahead any more

	mu     sync.Mutex
	start  []byte // read ahead, and not yet given to the reader
	err    error  // what ended the reading ahead
	stop   bool   // no more is wanted ahead
	closed bool
}

// peek reads ahead, and returns a copy of what it has when that is enough or took
// too long.
func (p *peeked) peek() []byte {
	go p.readAhead()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-p.through:
	case <-t.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop = true
	return bytes.Clone(p.start)
}

func (p *peeked) readAhead() {
	defer close(p.through)
	buf := make([]byte, client.MaxBodyExcerpt)
	for used := 0; used < len(buf); {
		n, err := p.body.Read(buf[used:])
		used += n
		p.mu.Lock()
		p.start, p.err = buf[:used], err
		enough := p.stop || err != nil
		p.mu.Unlock()
		if enough {
			return
		}
	}
}

// Read gives what was read ahead, then the rest. A read that is still under way
// is the one that the caller waits for.
func (p *peeked) Read(b []byte) (int, error) {
	<-p.through
	p.mu.Lock()
	switch {
	case p.closed:
		p.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	case len(p.start) > 0:
		n := copy(b, p.start)
		p.start = p.start[n:]
		p.mu.Unlock()
		return n, nil
	}
	err := p.err
	p.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return p.body.Read(b)
}

// Close closes the body, and so ends a read that is under way.
func (p *peeked) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	return p.body.Close()
}
