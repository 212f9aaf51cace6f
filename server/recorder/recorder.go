package recorder

import (
	"context"
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
	// MaxSize is how long the file may become; then what follows goes to the file
	// that Next opens, as a recording of its own with the same pseudonyms. 0 is any
	// length, and needs no Next.
	MaxSize int64
	Next    func() (File, error)
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
	r.writer = writer{
		file: file, size: o.Size, most: o.MaxSize, next: o.Next, log: o.Log, maker: newMaker(o.Users), lines: newCounters(),
	}
	if o.Metrics != nil {
		if err := r.writer.lines.register(o.Metrics); err != nil {
			return nil, err
		}
	}
	if o.Torn {
		r.writer.pending = append(r.writer.pending, '\n')
	}
	first := recording.Began{Format: recording.Format, Version: o.Version, Wall: r.began.UTC().Round(0), Users: recording.Hidden}
	if o.Users {
		first.Users = recording.Shown
	}
	r.put(func(*maker) recording.Line { return recording.Line{Began: &first} })
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
