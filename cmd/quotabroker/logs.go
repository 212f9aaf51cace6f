package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// logFlags say how a command logs.
type logFlags struct {
	format, level string
}

func (f *logFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.format, "log-format", "auto", "`format` of the log: text, json, or auto (text on a terminal)")
	cmd.Flags().StringVar(&f.level, "log-level", "info", "least `level` that is logged: debug, info, warn or error")
}

// logger writes to w as the flags say.
func (f *logFlags) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.level)); err != nil {
		return nil, &usageError{fmt.Sprintf("--log-level: %q: choose debug, info, warn or error", f.level)}
	}
	o := &slog.HandlerOptions{Level: level}
	format := f.format
	if format == "auto" {
		format = "json"
		if isTerminal(w) {
			format = "text"
		}
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	default:
		return nil, &usageError{fmt.Sprintf("--log-format: %q: choose text, json or auto", f.format)}
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
