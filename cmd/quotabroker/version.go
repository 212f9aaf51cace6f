package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say what was built, of which revision, and with which Go",
		Args:  cobra.NoArgs,
		RunE: action(func(cmd *cobra.Command) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version())
			return err
		}),
	}
}

// version is one line of what the build recorded.
func version() string {
	module, revision := "(devel)", "unknown revision"
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			module = info.Main.Version
		}
		modified := ""
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				modified = " (modified)"
			}
		}
		revision += modified
	}
	return fmt.Sprintf("quotabroker %s, %s, %s %s/%s", module, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
