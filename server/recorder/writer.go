package recorder

import (
	"encoding/json"
	"log/slog"
	"time"

	"github.com/quotabroker/quotabroker/server/recording"
)

// writer makes lines, and puts them on the file whole or not at all.
type writer struct {
	file  File
	maker *maker
	log   *slog.Logger
	lines counters
	// most is how long a file may become, and next opens another one; 0 and nil where
	// there is no bound.
	most int64
	next func() (File, error)
	// base is when the file's recording began, since the recorder did; began and
	// config are the lines by which another file goes on.
	base          time.Duration
	began, config recording.Line
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
	switch {
	case line.Began != nil:
		w.began = line
	case line.Config != nil:
		w.config = line
	}
	text := w.text(line, e.at)
	if w.most > 0 && w.size+int64(len(w.pending)+len(text)) > w.most {
		if !w.rotate(e.at) {
			w.lines.failed.Inc()
			return
		}
		if line.Began != nil || line.Config != nil {
			return // it is there already
		}
		text = w.text(line, e.at)
	}
	w.put(text)
}

// text is a line of what happened then; empty for one that no broker makes.
func (w *writer) text(line recording.Line, at time.Duration) []byte {
	line.AtUS = recording.US(at - w.base)
	text, err := json.Marshal(&line)
	if err != nil || len(text) >= recording.MaxLine {
		return nil
	}
	return append(text, '\n')
}

func (w *writer) put(text []byte) {
	if text == nil {
		w.lines.failed.Inc()
		return
	}
	w.pending = append(w.pending, text...)
	w.n++
	if len(w.pending) >= mostPending {
		w.flush()
	}
}

// rotate goes on in another file, from then on. It reports false when there is none,
// and then the recording stays within its bound.
func (w *writer) rotate(at time.Duration) bool {
	w.flush()
	file, err := w.next()
	if err != nil {
		w.fail(err)
		return false
	}
	if err := w.file.Close(); err != nil {
		w.log.Warn("a part of the recording could not be closed", "error", err)
	}
	began := *w.began.Began
	began.Wall = began.Wall.Add(at - w.base)
	w.file, w.size, w.base, w.began.Began = file, 0, at, &began
	w.pending, w.n = w.pending[:0], 0 // the end of a line that was cut off, at most
	w.put(w.text(w.began, at))
	if w.config.Config != nil {
		w.put(w.text(w.config, at))
	}
	return true
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
		w.fail(err)
		if wrote > 0 {
			_ = w.file.Truncate(w.size) // a file that cannot be cut either has a line that is cut off
		}
	default:
		w.lines.written.Add(float64(w.n))
		w.size += int64(wrote)
		if w.failing {
			w.log.Info("the recording can be written again")
		}
		w.failing = false
	}
	w.pending, w.n = w.pending[:0], 0
}

// fail says once that what happens is lost.
func (w *writer) fail(err error) {
	if !w.failing {
		w.log.Warn("the recording cannot be written: what happens now is lost from it", "error", err)
	}
	w.failing = true
}
