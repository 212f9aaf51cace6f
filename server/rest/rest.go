package rest

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options are what the handler shows. The zero value is never ready and has no
// metrics.
type Options struct {
	// Ready reports whether the broker serves; nil means that it does not. It
	// must be safe for concurrent use.
	Ready func() bool
	// Metrics is what /metrics shows; nil leaves that path out.
	Metrics prometheus.Gatherer
	// Log receives what goes wrong; nil discards it.
	Log *slog.Logger
}

// Handler answers GET and HEAD of /healthz (200 while the process can answer at
// all), /readyz (200 while the broker serves, else 503) and /metrics. It is
// safe for concurrent use.
func Handler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusOK, "alive")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if o.Ready != nil && o.Ready() {
			say(w, http.StatusOK, "serving")
			return
		}
		say(w, http.StatusServiceUnavailable, "not serving")
	})
	if o.Metrics != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{
			ErrorLog: slog.NewLogLogger(handlerOf(o.Log), slog.LevelError),
			// A scrape is cheap once and dear a thousand times at once.
			MaxRequestsInFlight: 4,
			Timeout:             writeTimeout / 2,
		}))
	}
	return mux
}

func say(w http.ResponseWriter, code int, word string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// A reader that went away is no news.
	_, _ = io.WriteString(w, word+"\n")
}

// What one peer may ask of the HTTP server, and for how long; the library's own
// values wait for ever.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeaders    = 16 << 10
)

// NewServer makes a server that no slow or greedy peer can hold up. The caller
// serves with it and shuts it down. A nil log discards what goes wrong.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaders,
		ErrorLog:          slog.NewLogLogger(handlerOf(log), slog.LevelWarn),
	}
}

func handlerOf(log *slog.Logger) slog.Handler {
	if log == nil {
		return slog.DiscardHandler
	}
	return log.Handler()
}
