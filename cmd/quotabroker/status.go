package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/quotabroker/quotabroker/client/quotaadmin"
	"github.com/quotabroker/quotabroker/cmd/quotabroker/show"
)

// watchEvery is how often a watched status is drawn anew.
const watchEvery = time.Second

// mostTop is how many buckets a broker lists at most.
const mostTop = 1000

// statusFlags are what the status is told on the command line.
type statusFlags struct {
	operatorFlags
	top   int
	sort  string
	watch bool
}

func newStatus() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the quotas of a running broker",
		Long: `Show the quotas of a running broker: what is used and what remains, when each
window ends, who waits, and when the quota ends at the pace of the window so far.

Of the buckets that have the parts of the scope that are given, the fullest come
first; where not all are listed, all are summed up by limit. APIs in shadow mode
show their score: whether it is safe to let the broker decide.`,
		Args: cobra.NoArgs,
	}
	f.add(cmd)
	cmd.Flags().IntVar(&f.top, "top", 100, "list at most `n` buckets, 1 to 1000")
	cmd.Flags().StringVar(&f.sort, "sort", "pressure", "list first by `order`: pressure, used, waiting or name")
	cmd.Flags().BoolVar(&f.watch, "watch", false, "show it anew each second")
	cmd.RunE = action(func(cmd *cobra.Command) error { return f.run(cmd.Context(), cmd.OutOrStdout()) })
	return cmd
}

func (f *statusFlags) run(ctx context.Context, out io.Writer) error {
	q, err := f.query()
	if err != nil {
		return err
	}
	return f.ask(ctx, func(ctx context.Context, admin *quotaadmin.Client) error {
		if f.watch {
			return f.follow(ctx, admin, q, out)
		}
		s, err := present(ctx, admin, q)
		if err != nil {
			return err
		}
		return f.write(out, s)
	})
}

func (f *statusFlags) query() (quotaadmin.Query, error) {
	q := quotaadmin.Query{Scope: f.scope, Top: f.top}
	orders := map[string]quotaadmin.Order{
		"pressure": quotaadmin.ByPressure, "used": quotaadmin.ByUsed, "waiting": quotaadmin.ByWaiting, "name": quotaadmin.ByName,
	}
	var ok bool
	if q.Order, ok = orders[f.sort]; !ok {
		return q, &usageError{fmt.Sprintf("--sort: %q: choose pressure, used, waiting or name", f.sort)}
	}
	if f.top < 1 || f.top > mostTop {
		return q, &usageError{fmt.Sprintf("--top: %d: must be 1 to %d", f.top, mostTop)}
	}
	return q, nil
}

// present asks for all that is shown.
func present(ctx context.Context, admin *quotaadmin.Client, q quotaadmin.Query) (s show.Status, err error) {
	ctx, cancel := inTime(ctx)
	defer cancel()
	if s.Listing, err = admin.Quotas(ctx, q); err != nil {
		return s, err
	}
	s.Scores, err = admin.Scores(ctx, q.Scope.API)
	return s, err
}

func (f *statusFlags) write(out io.Writer, s show.Status) error {
	if f.asJSON {
		return writeJSON(out, s, !f.watch)
	}
	return s.WriteTable(out)
}

// writeJSON writes a document, on lines of its own or on one.
func writeJSON(out io.Writer, document any, indent bool) error {
	e := json.NewEncoder(out)
	if indent {
		e.SetIndent("", "  ")
	}
	return e.Encode(document)
}

// follow shows the status each second until the context ends. A terminal is
// drawn anew; elsewhere one follows the other. A broker that is away then is said
// to be, and asked again.
func (f *statusFlags) follow(ctx context.Context, admin *quotaadmin.Client, q quotaadmin.Query, out io.Writer) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for first := true; ; first = false {
		s, err := present(ctx, admin, q)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && first:
			return err
		}
		if err := f.draw(out, s, err); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// draw writes one status of many, at once so that nothing flickers.
func (f *statusFlags) draw(out io.Writer, s show.Status, away error) error {
	var page bytes.Buffer
	if !f.asJSON {
		if isTerminal(out) {
			page.WriteString("\x1b[H\x1b[2J") // home, and clear
		}
		fmt.Fprintln(&page, time.Now().Format(time.DateTime))
	}
	switch {
	case away != nil && f.asJSON:
		return nil // no document is better than one that says nothing
	case away != nil:
		fmt.Fprintln(&page, away)
	default:
		if err := f.write(&page, s); err != nil {
			return err
		}
	}
	if !f.asJSON {
		page.WriteString("\n")
	}
	_, err := out.Write(page.Bytes())
	return err
}
