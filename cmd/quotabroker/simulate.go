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

--replay is a what-if: it plays the calls of a recording, which serve --record
wrote, with the configuration of --config, beside what happened ("recorded"); with
the recorded configuration without one, which shows how well it is played. It can
tell how another configuration would have served the same demand, by an upstream as
the recording shows it: the limits that were configured, as answers corrected them,
or that they told. It cannot tell what nobody saw: limits that no answer told, other
consumers, what callers would have asked had they been answered otherwise. Who knows
the upstream gives it with --upstream.

It fails when ours does not achieve what a scenario expects.`

// simulation is what somebody wants to have played, and shown how.
type simulation struct {
	scoreboard.Choice
	asJSON, list bool
	board        string
	picture      timelineFlags
	replay       replayFlags
}

func newSimulate() *cobra.Command {
	s := simulation{Choice: scoreboard.Choice{Read: os.ReadFile}}
	cmd := &cobra.Command{
		Use:   "simulate [SCENARIO…|FILE.yaml…]",
		Short: "Play a fleet against an upstream in virtual time, and judge who kept within the quotas",
		Long:  aboutSimulate,
	}
	cmd.Flags().BoolVar(&s.All, "all", false, "play every scenario that comes with quotabroker")
	cmd.Flags().StringVar(&s.Variant, "variant", "", "play only the variants whose name contains this `text`")
	cmd.Flags().StringSliceVar(&s.Strategies, "strategy", []string{"ours"}, "the `names` of the strategies, or all")
	cmd.Flags().IntVar(&s.Seeds, "seeds", 20, "play each with the seeds from 1 to this `number`")
	cmd.Flags().BoolVar(&s.asJSON, "json", false, "write an object a line, for programs")
	cmd.Flags().StringVar(&s.board, "scoreboard", "", "write the scoreboard into this `file`, between its marks")
	s.picture.bind(cmd)
	s.replay.bind(cmd)
	cmd.Flags().BoolVar(&s.list, "list", false, "show the scenarios and the strategies that there are")
	cmd.MarkFlagsMutuallyExclusive("json", "scoreboard", "timeline", "list")
	cmd.MarkFlagsMutuallyExclusive("replay", "scoreboard", "list")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s.Scenarios = args
		return action(s.run)(cmd, args)
	}
	return cmd
}

func (s *simulation) run(cmd *cobra.Command) error {
	if s.list {
		return scoreboard.List(cmd.OutOrStdout())
	}
	plan, recorded, err := s.plan(cmd)
	switch {
	case err != nil:
		return err
	case s.picture.path != "":
		return drawTimeline(cmd, plan, s.picture)
	case s.board != "":
		return writeBoard(cmd, plan, s.board)
	}
	return s.play(cmd, plan, recorded)
}

// plan is what was asked for, and what was recorded of it; nil for nothing.
func (s *simulation) plan(cmd *cobra.Command) (plan *scoreboard.Plan, recorded *scoreboard.Row, err error) {
	if err := s.replay.check(&s.Choice); err != nil {
		return nil, nil, err
	}
	if s.replay.recording != "" {
		plan, recorded, err = s.replay.plan(cmd, &s.Choice)
	} else {
		plan, err = s.Plan()
	}
	if choice, ok := errors.AsType[*scoreboard.ChoiceError](err); ok {
		return nil, nil, &usageError{choice.Error()}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("simulate: %w", err)
	}
	return plan, recorded, nil
}

// play shows what becomes of a plan.
func (s *simulation) play(cmd *cobra.Command, plan *scoreboard.Plan, recorded *scoreboard.Row) error {
	out := cmd.OutOrStdout()
	add := func(rows []scoreboard.Row) error { return scoreboard.WriteJSON(out, rows) }
	if !s.asJSON {
		newTable := scoreboard.NewTable
		if recorded != nil {
			newTable = scoreboard.NewCallsTable
		}
		table, err := newTable(out, plan)
		if err != nil {
			return err
		}
		add = table.Add
	}
	if recorded != nil {
		if err := add([]scoreboard.Row{*recorded}); err != nil {
			return err
		}
	}
	var missed []string
	err := plan.Run(cmd.Context(), func(rows []scoreboard.Row) error {
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
