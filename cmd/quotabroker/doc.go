// Command quotabroker shares a third-party API's quotas among the services that
// call it.
//
//	quotabroker serve    answer services over gRPC
//	quotabroker proxy    stand in front of one API and hold requests back
//	quotabroker demo     show a fleet without a broker and with one
//	quotabroker version  say what was built
//
// It exits with 0 when all went well, 1 when something failed, and 2 when the
// command line was wrong. SIGINT and SIGTERM end it in order, a second one at
// once.
package main
