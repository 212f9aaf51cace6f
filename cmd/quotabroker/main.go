package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // calendar windows in time zones, wherever it runs
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Once the first signal came, a second one ends the process as if nobody
	// listened.
	context.AfterFunc(ctx, stop)
	tuneGC(os.LookupEnv)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
