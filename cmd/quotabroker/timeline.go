package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quotabroker/quotabroker/server/simulate/scoreboard"
	"github.com/quotabroker/quotabroker/server/simulate/timeline"
)

// timelineFlags say which run is drawn, and where to.
type timelineFlags struct {
	path string
	seed uint64
}

func (f *timelineFlags) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.path, "timeline", "", "draw one run into this `file`, as an SVG picture")
	cmd.Flags().Uint64Var(&f.seed, "seed", 1, "of the run that --timeline draws, its seed's `number`")
}

// drawTimeline has the strategies play one variant once each, and draws that.
func drawTimeline(cmd *cobra.Command, plan *scoreboard.Plan, f timelineFlags) error {
	if n := len(plan.Variants); n > 1 {
		var names []string
		for _, s := range plan.Variants {
			names = append(names, fmt.Sprintf("%q", s.Name+": "+s.Variant))
		}
		return &usageError{fmt.Sprintf("--timeline: %q: a picture is of one variant, and these are %d: choose by --variant of %s", f.path, n, strings.Join(names, ", "))}
	}
	picture, err := timeline.Play(cmd.Context(), plan.Variants[0], f.seed, plan.Strategies)
	if err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	var svg bytes.Buffer
	if err := picture.WriteSVG(&svg); err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	if err := os.WriteFile(f.path, svg.Bytes(), 0o644); err != nil { //nolint:gosec // a picture is for everyone to see
		return fmt.Errorf("simulate: --timeline: %w", err)
	}
	return nil
}
