package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/quotabroker/quotabroker/client/quotaadmin"
	"github.com/quotabroker/quotabroker/cmd/quotabroker/show"
)

// explainFlags are what an explanation is told on the command line.
type explainFlags struct {
	operatorFlags
	costs map[string]string
}

func newExplain() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain --api NAME",
		Short: "Say why a running broker would grant a call or not",
		Long: `Say why a running broker would grant a call or not: the decision, and of each
bucket that counts the call its numbers, the reports that they rest on, and who
stands before it. Nothing is spent.`,
		Args: cobra.NoArgs,
		RunE: action(func(cmd *cobra.Command) error { return f.run(cmd.Context(), cmd.OutOrStdout()) }),
	}
	f.add(cmd)
	cmd.Flags().StringToStringVar(&f.costs, "cost", nil, "what the call takes, as `unit=amount` (default one request)")
	return cmd
}

func (f *explainFlags) run(ctx context.Context, out io.Writer) error {
	if f.scope.API == "" {
		return &usageError{`--api: "": name the API as the broker knows it`}
	}
	costs := make(map[string]int64)
	for unit, text := range f.costs {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return &usageError{fmt.Sprintf("--cost: %q: the amount of %s must be a whole number", text, unit)}
		}
		costs[unit] = n
	}
	return f.ask(ctx, func(ctx context.Context, admin *quotaadmin.Client) error {
		ctx, cancel := inTime(ctx)
		defer cancel()
		x, err := admin.Explain(ctx, f.scope, costs)
		switch {
		case err != nil:
			return err
		case f.asJSON:
			return writeJSON(out, x, true)
		default:
			return show.Explanation{Scope: f.scope, Explanation: x}.WriteText(out)
		}
	})
}
