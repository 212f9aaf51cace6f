package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/quotabroker/quotabroker/server/simulate"
	"github.com/quotabroker/quotabroker/server/simulate/replay"
	"github.com/quotabroker/quotabroker/server/simulate/scoreboard"
)

// replayFlags say which recording is played again, and how.
type replayFlags struct {
	recording, config, api, upstream string
}

func (f *replayFlags) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.recording, "replay", "", "play the calls of this `file`, which serve --record wrote")
	cmd.Flags().StringVar(&f.config, "config", "", "of --replay, the configuration `file` to try; without one the recorded configuration")
	cmd.Flags().StringVar(&f.api, "api", "", "of --replay, the `name` of the API; needed where the recording has several")
	cmd.Flags().StringVar(&f.upstream, "upstream", "", "of --replay, a `file` with a scenario's upstream, instead of what the recording shows")
}

// check reports flags that do not go together.
func (f *replayFlags) check(c *scoreboard.Choice) error {
	switch {
	case f.recording == "" && *f != (replayFlags{}):
		return &usageError{"--config, --api and --upstream: go with --replay: name the recording, or leave them out"}
	case f.recording != "" && (c.All || len(c.Scenarios) > 0 || c.Variant != ""):
		return &usageError{fmt.Sprintf("--replay: %q: is played alone: leave scenarios, --all and --variant out", f.recording)}
	}
	return nil
}

// plan is the recording's scenario, and the row of what happened in it.
func (f *replayFlags) plan(cmd *cobra.Command, c *scoreboard.Choice) (*scoreboard.Plan, *scoreboard.Row, error) {
	log, err := f.read()
	if err != nil {
		return nil, nil, err
	}
	what := replay.WhatIf{Name: f.config}
	if f.config != "" {
		if what.Config, err = os.ReadFile(f.config); err != nil {
			return nil, nil, err
		}
	}
	if f.upstream != "" {
		data, err := os.ReadFile(f.upstream)
		if err != nil {
			return nil, nil, err
		}
		up, err := simulate.ParseUpstream(f.upstream, data)
		if err != nil {
			return nil, nil, err
		}
		what.Upstream = &up
	}
	s, notes, err := log.Scenario(what)
	if err != nil {
		return nil, nil, err
	}
	for _, note := range notes {
		if _, err := fmt.Fprintln(cmd.ErrOrStderr(), note); err != nil {
			return nil, nil, err
		}
	}
	plan, err := c.PlanOf(s)
	if err != nil {
		return nil, nil, err
	}
	row := scoreboard.NewRow(s, "recorded", log.Result())
	return plan, &row, nil
}

func (f *replayFlags) read() (*replay.Log, error) {
	file, err := os.Open(f.recording)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	log, err := replay.Read(file, f.api)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.recording, err)
	}
	return log, nil
}
