// Package demo shows a fleet at an API with quotas twice: each service alone
// with exponential back-off, and all of them through a broker.
//
// Both runs make the same calls, with the same latencies, to their own copy of
// the same API, at the same time. The API counts what it is sent, and its books
// alone say who kept within the quotas.
package demo
