package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quotabroker/quotabroker/server/simulate/scoreboard"
)

const aboutSimulate = `Play a fleet against an upstream in virtual time, and judge who kept within the quotas.

A scenario says what the upstream enforces and tells of its quotas, who calls it,
and what goes wrong; --list shows those that come with quotabroker, and a file has
one of your own. Each variant of it is played once for each seed, on all cores, by
each strategy: ours, which is what a broker would do with the same configuration,
or what is found without one. The same seeds give the same figures.

--timeline draws one run of one variant instead: per limit what was truly left
and what the broker believed, calls, 429s and windows, for each strategy named.

It fails when ours does not achieve what a scenario expects.`

func newSimulate() *cobra.Command {
	c := scoreboard.Choice{Read: os.ReadFile}
	var asJSON, list bool
	var board string
	var picture timelineFlags
	cmd := &cobra.Command{
		Use:   "simulate [SCENARIO…|FILE.yaml…]",
		Short: "Play a fleet against an upstream in virtual time, and judge who kept within the quotas",
		Long:  aboutSimulate,
	}
	cmd.Flags().BoolVar(&c.All, "all", false, "play every scenario that comes with quotabroker")
	cmd.Flags().StringVar(&c.Variant, "variant", "", "play only the variants whose name contains this `text`")
	cmd.Flags().StringSliceVar(&c.Strategies, "strategy", []string{"ours"}, "the `names` of the strategies, or all")
	cmd.Flags().IntVar(&c.Seeds, "seeds", 20, "play each with the seeds from 1 to this `number`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write an object a line, for programs")
	cmd.Flags().StringVar(&board, "scoreboard", "", "write the scoreboard into this `file`, between its marks")
	picture.bind(cmd)
	cmd.Flags().BoolVar(&list, "list", false, "show the scenarios and the strategies that there are")
	cmd.MarkFlagsMutuallyExclusive("json", "scoreboard", "timeline", "list")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c.Scenarios = args
		return action(func(cmd *cobra.Command) error {
			if list {
				return scoreboard.List(cmd.OutOrStdout())
			}
			if picture.path != "" {
				return drawTimeline(cmd, c, picture)
			}
			return runSimulate(cmd, c, asJSON, board)
		})(cmd, args)
	}
	return cmd
}

func runSimulate(cmd *cobra.Command, c scoreboard.Choice, asJSON bool, board string) error {
	plan, err := planned(c)
	if err != nil {
		return err
	}
	if board != "" {
		return writeBoard(cmd, plan, board)
	}
	out := cmd.OutOrStdout()
	add := func(rows []scoreboard.Row) error { return scoreboard.WriteJSON(out, rows) }
	if !asJSON {
		table, err := scoreboard.NewTable(out, plan)
		if err != nil {
			return err
		}
		add = table.Add
	}
	var missed []string
	err = plan.Run(cmd.Context(), func(rows []scoreboard.Row) error {
		missed = append(missed, scoreboard.Missed(rows)...)
		return add(rows)
	})
	switch {
	case err != nil:
		return fmt.Errorf("simulate: %w", err)
	case len(missed) > 0:
		return fmt.Errorf("simulate: ours does not achieve what is expected in %d of %d variants: %s", len(missed), len(plan.Variants), strings.Join(missed, "; "))
	}
	return nil
}

// planned is what was asked for.
func planned(c scoreboard.Choice) (*scoreboard.Plan, error) {
	plan, err := c.Plan()
	if choice, ok := errors.AsType[*scoreboard.ChoiceError](err); ok {
		return nil, &usageError{choice.Error()}
	}
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	return plan, nil
}

// writeBoard replaces the scoreboard in a file. What is not achieved is shown
// there.
func writeBoard(cmd *cobra.Command, plan *scoreboard.Plan, path string) error {
	var board scoreboard.Board
	file, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	if _, err := board.Insert(file); err != nil {
		return fmt.Errorf("simulate: %s: %w", path, err)
	}
	if err := plan.Run(cmd.Context(), board.Add); err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	if file, err = board.Insert(file); err != nil {
		return fmt.Errorf("simulate: %s: %w", path, err)
	}
	return os.WriteFile(path, file, 0o644) //nolint:gosec // a README is for everyone to read
}
