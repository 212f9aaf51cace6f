package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/quotabroker/quotabroker/cmd/quotabroker/demo"
)

func newDemo() *cobra.Command {
	var asJSON bool
	plan := demo.DefaultPlan()
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show a fleet at an API with quotas, without a broker and with one",
		Long: `Show a fleet at an API with quotas, without a broker and with one.

Everything runs within this process, on loopback: two copies of an API with
quotas per application and per member, and for each of them the same services
with the same work, once each service alone with exponential back-off, once
through a broker. It takes less than a minute. It fails when the broker's run saw a 429.

With --headers guide the API's answers have X-RateLimit-* fields, as guides to
LinkedIn's API print them, and the broker learns from them where windows begin.
With --headers none there is no field at all, as in LinkedIn's documentation: the
quotas and their windows are configured, and the broker counts.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the result as JSON")
	cmd.Flags().StringVar((*string)(&plan.Headers), "headers", string(plan.Headers), "what the API `says` of its quotas: guide or none")
	cmd.RunE = action(func(cmd *cobra.Command) error {
		if plan.Headers != demo.Guide && plan.Headers != demo.None {
			return &usageError{fmt.Sprintf("--headers: %q: choose guide or none", plan.Headers)}
		}
		return runDemo(cmd, plan, asJSON)
	})
	return cmd
}

func runDemo(cmd *cobra.Command, plan demo.Plan, asJSON bool) error {
	stderr := cmd.ErrOrStderr()
	fmt.Fprintln(stderr, plan)
	result, err := demo.Run(cmd.Context(), plan, demo.Screen{Out: stderr, Terminal: isTerminal(stderr)})
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("demo: interrupted before the work was done")
	case err != nil:
		return fmt.Errorf("demo: %w", err)
	case asJSON:
		err = result.WriteJSON(cmd.OutOrStdout())
	default:
		err = result.WriteTable(cmd.OutOrStdout())
	}
	if err != nil {
		return err
	}
	return result.Verdict()
}
