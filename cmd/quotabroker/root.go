package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitOK = iota
	exitFailure
	exitUsage
)

// run is the program but for the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (exit int) {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if failed, ok := errors.AsType[*failure](err); ok {
		complain(stderr, failed.err.Error())
		return exitFailure
	}
	// Suggestions come on lines of their own.
	text := strings.Join(strings.Fields(err.Error()), " ")
	complain(stderr, fmt.Sprintf("%s: see %s --help", text, cmd.CommandPath()))
	return exitUsage
}

// complain writes each line of an error under the program's name.
func complain(stderr io.Writer, text string) {
	for l := range strings.Lines(text) {
		fmt.Fprintf(stderr, "quotabroker: %s\n", strings.TrimSpace(l))
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "quotabroker",
		Short: "Share a third-party API's quotas among the services that call it",
		// Errors are told by run, without the whole help text.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newServe(), newProxy(), newStatus(), newExplain(), newDemo(), newSimulate(), newVersion())
	return root
}

// failure is an error of the work, not of the command line.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }

// usageError is an error of the command line that shows only at work.
type usageError struct{ text string }

func (u *usageError) Error() string { return u.text }

// action is what a command does, with its errors told apart: what it returns is
// a failure unless it is a *usageError.
func action(do func(cmd *cobra.Command) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		err := do(cmd)
		if _, usage := errors.AsType[*usageError](err); err == nil || usage {
			return err
		}
		return &failure{err}
	}
}
