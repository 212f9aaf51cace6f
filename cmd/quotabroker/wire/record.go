package wire

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quotabroker/quotabroker/server/recorder"
)

// Recording says where a server writes down what it decides. The zero value is
// nowhere.
type Recording struct {
	// Path is a new file, or a recording that goes on.
	Path string
	// MaxSize is how long the file may become, in bytes: then it is put aside, as the
	// only one that is kept, and a new one begun. 0 is any length.
	MaxSize int64
	// Users writes users, and the values of labels, as they are.
	Users bool
	// Version is the program's.
	Version string
}

// start opens the file.
func (r Recording) start(metrics prometheus.Registerer, log *slog.Logger) (*recorder.Recorder, error) {
	file, size, torn, err := recorder.Open(r.Path)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	made, err := recorder.New(file, recorder.Options{
		Version: r.Version, Size: size, Torn: torn, Users: r.Users, Log: log, Metrics: metrics,
		MaxSize: r.MaxSize, Next: func() (recorder.File, error) { return recorder.Rotate(r.Path) },
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("record: %w", err), file.Close())
	}
	return made, nil
}
