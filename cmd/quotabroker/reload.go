package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/quotabroker/quotabroker/cmd/quotabroker/wire"
	"github.com/quotabroker/quotabroker/server/config"
)

// lookEvery is how often the configuration file is looked at. One that changed is
// read at the next look, if it has not changed again.
const lookEvery = 2 * time.Second

// openConfig reads the file. Without one it is the default, and the file nil.
func openConfig(path string) (*config.File, *config.Config, error) {
	if path == "" {
		return nil, config.Default(), nil
	}
	return config.Open(path)
}

// reloader follows the configuration file while a broker runs.
type reloader struct {
	file *config.File
	// started is what the process began with, taken what it was given last.
	started, taken *config.Config
	// pending is what takes a restart, as far as people were told.
	pending []config.Change
	apply   func(*config.Config) error
	metrics *reloadMetrics
	log     *slog.Logger
}

// newReloader is nil where there is no file. The check refuses a configuration
// before anything is changed.
func newReloader(file *config.File, c *config.Config, broker *wire.Server, check func(*config.Config) error, log *slog.Logger) *reloader {
	if file == nil {
		return nil
	}
	apply := func(c *config.Config) error {
		if err := check(c); err != nil {
			return err
		}
		return broker.Reconfigure(c)
	}
	r := &reloader{file: file, started: c, taken: c, apply: apply, metrics: newReloadMetrics(file.Sum()), log: log}
	broker.Register(r.metrics.all()...)
	return r
}

// start reads the file again at each SIGHUP and whenever it has changed, until the
// function that it returns is called. Without a file it does nothing.
func (r *reloader) start(ctx context.Context) (stop func()) {
	if r == nil {
		return func() {}
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { r.run(ctx, hangup) })
	return func() {
		signal.Stop(hangup)
		cancel()
		running.Wait()
	}
}

func (r *reloader) run(ctx context.Context, hangup <-chan os.Signal) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			r.take(r.file.Read())
		case <-look.C:
			if c, fresh, err := r.file.Poll(); fresh {
				r.take(c, err)
			}
		}
	}
}

// take puts a configuration into force, or says why not: then all stays as it was.
func (r *reloader) take(c *config.Config, err error) {
	var changes []config.Change
	if err == nil {
		changes = slices.DeleteFunc(config.Changes(r.taken, c), func(c config.Change) bool { return c.Restart })
		if len(changes) > 0 {
			err = r.apply(c)
		}
	}
	if err != nil {
		r.refuse(err)
		return
	}
	r.taken = c
	r.metrics.succeeded(r.file.Sum(), len(changes) > 0)
	for _, change := range changes {
		r.log.Info("the configuration changed", "field", change.Field, "change", change.What)
	}
	r.tellPending(c)
	if len(changes) == 0 {
		r.log.Debug("the configuration was read again, and says the same")
	}
}

// tellPending says what is not in force before a restart, when that is news.
func (r *reloader) tellPending(c *config.Config) {
	pending := slices.DeleteFunc(config.Changes(r.started, c), func(c config.Change) bool { return !c.Restart })
	if slices.Equal(pending, r.pending) {
		return
	}
	r.pending = pending
	for _, change := range pending {
		r.log.Warn("the configuration changed where it takes a restart: until then this is as it was",
			"field", change.Field, "change", change.What)
	}
}

// refuse says all that is wrong with a configuration.
func (r *reloader) refuse(err error) {
	r.metrics.failed()
	problems := []string{err.Error()}
	if wrong, ok := errors.AsType[*config.Error](err); ok {
		problems = nil
		for _, p := range wrong.Problems {
			problems = append(problems, p.String())
		}
	}
	for _, p := range problems {
		r.log.Error("the configuration was not taken, and all stays as it was", "problem", p)
	}
}
