package recorder

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quotabroker/quotabroker/server/recording"
)

const (
	// mostWaiting is how much may wait to be written, mostPending how many bytes are
	// gathered for one write.
	mostWaiting = 8192
	mostPending = 64 << 10
)

// File is where a recording goes: an [os.File].
type File interface {
	io.WriteCloser
	// Truncate cuts it to a length.
	Truncate(size int64) error
}

// Options are what a recorder may be told.
type Options struct {
	// Version is the broker's.
	Version string
	// Size is how long the file is already, and Torn whether its last line was cut
	// off.
	Size int64
	Torn bool
	// Users writes users, and the values of labels, as they are.
	Users bool
	// Log receives a line when the file cannot be written, and one when it can
	// again; nil discards them.
	Log *slog.Logger
	// Metrics is where the recorder registers its counters; nil keeps none.
	Metrics prometheus.Registerer
}

// Recorder writes a recording. It is safe for concurrent use. Lines are on the file
// when nothing more waits, and at the latest when it is closed.
type Recorder struct {
	began   time.Time
	queue   chan event
	closing chan struct{}
	closed  atomic.Bool
	writer  writer
	running sync.WaitGroup
}

// event is something that happened, and the way to make a line of it.
type event struct {
	at   time.Duration
	make func(*maker) recording.Line
}

// New begins a recording at the end of a file, which it closes at
// [Recorder.Close]. The error is that of metrics which are registered already.
func New(file File, o Options) (*Recorder, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Recorder{began: time.Now(), queue: make(chan event, mostWaiting), closing: make(chan struct{})}
	r.writer = writer{file: file, size: o.Size, log: o.Log, maker: newMaker(o.Users), lines: newCounters()}
	if o.Metrics != nil {
		if err := r.writer.lines.register(o.Metrics); err != nil {
			return nil, err
		}
	}
	if o.Torn {
		r.writer.pending = append(r.writer.pending, '\n')
	}
	first := &recording.Began{Format: recording.Format, Version: o.Version, Wall: r.began.UTC().Round(0), Users: recording.Hidden}
	if o.Users {
		first.Users = recording.Shown
	}
	r.put(func(*maker) recording.Line { return recording.Line{Began: first} })
	r.running.Go(r.run)
	return r, nil
}

// put never waits: what does not fit is counted as dropped.
func (r *Recorder) put(line func(*maker) recording.Line) {
	if r.closed.Load() {
		return
	}
	select {
	case r.queue <- event{time.Since(r.began), line}:
	default:
		r.writer.lines.dropped.Inc()
	}
}

// Close writes what waits, as far as it can until the context ends, and closes the
// file. What happens afterwards is not recorded. The error is the file's, or the
// context's.
func (r *Recorder) Close(ctx context.Context) error {
	if r.closed.Swap(true) {
		return nil
	}
	close(r.closing)
	done := make(chan struct{})
	go func() {
		r.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return r.writer.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run writes until the recorder is closed, and then what still waits.
func (r *Recorder) run() {
	for {
		select {
		case e := <-r.queue:
			r.writer.add(e)
			if len(r.queue) == 0 {
				r.writer.flush()
			}
		case <-r.closing:
			for len(r.queue) > 0 {
				r.writer.add(<-r.queue)
			}
			r.writer.flush()
			r.writer.err = r.writer.file.Close()
			return
		}
	}
}

// writer makes lines, and puts them on the file whole or not at all.
type writer struct {
	file  File
	maker *maker
	log   *slog.Logger
	lines counters
	// pending is lines to be written, n of them; size is how long the file is.
	pending []byte
	n       int
	size    int64
	// failing is true after a write that failed, until one succeeds.
	failing bool
	err     error
}

func (w *writer) add(e event) {
	line := e.make(w.maker)
	line.AtUS = recording.US(e.at)
	text, err := json.Marshal(&line)
	if err != nil || len(text) >= recording.MaxLine {
		w.lines.failed.Inc() // no line that a broker made is like that
		return
	}
	w.pending = append(append(w.pending, text...), '\n')
	w.n++
	if len(w.pending) >= mostPending {
		w.flush()
	}
}

// flush writes what is pending. Where that fails it is lost, and what was written of
// it is cut off again, so that the recording goes on with a whole line when there is
// room again.
func (w *writer) flush() {
	if w.n == 0 {
		return
	}
	wrote, err := w.file.Write(w.pending)
	switch {
	case err != nil:
		w.lines.failed.Add(float64(w.n))
		if !w.failing {
			w.log.Warn("the recording cannot be written: what happens now is lost from it", "error", err)
		}
		if wrote > 0 {
			_ = w.file.Truncate(w.size) // a file that cannot be cut either has a line that is cut off
		}
	default:
		w.lines.written.Add(float64(w.n))
		w.size += int64(wrote)
		if w.failing {
			w.log.Info("the recording can be written again")
		}
	}
	w.failing = err != nil
	w.pending, w.n = w.pending[:0], 0
}
