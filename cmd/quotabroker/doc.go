// Command quotabroker shares a third-party API's quotas among the services that
// call it.
//
//	quotabroker serve    answer services over gRPC
//	quotabroker proxy    stand in front of one API and hold requests back
//	quotabroker demo     show a fleet without a broker and with one
//	quotabroker simulate play fleets against upstreams in virtual time, and judge
//	quotabroker version  say what was built
//
// It exits with 0 when all went well, 1 when something failed, and 2 when the
// command line was wrong. SIGINT and SIGTERM end it in order, a second one at
// once.
//
// # Memory and processors
//
// Unless the environment sets GOGC it is 400: the heap may grow to five times what
// lives in it before it is collected. An acquire and a report took 0.91 of the time
// that they take with GOGC=100 with 200, 0.69 with 400 and 0.68 with 800: medians
// of seven rounds, each value in turn, on a busy machine of two processors, of
//
//	GOGC=400 go test ./server -run '^$' -bench 'Wire/conns=1/callers=64$'
//
// Where memory is short, GOMEMLIMIT bounds it as ever. GOMAXPROCS is left to Go,
// which keeps to what a container is given: one processor and two differed by less
// than the noise.
package main
