// Package telemetry shows what a broker sees: metrics of its quotas for
// Prometheus, and traces of its calls for OpenTelemetry. Beside them stand a
// Grafana dashboard and alert rules, dashboard.json and rules.yaml, which a test
// holds against the metrics of a running server.
//
// # Metrics
//
// [Collector] adds them up when they are asked for, by API and limit. A user or
// an application is never a label, so that a million users leave as many series
// as one; who uses most is a question for the broker's status. Of the many
// buckets of a limit, the gauges in units show the tightest: the one with the
// smallest share of its quota remaining. A permit is counted by each limit that
// counts its call. Names of APIs and limits that the configuration does not have
// are folded into "other" once there are too many of them.
//
// Units differ by limit (requests, tokens, points), so what is counted in them
// ends in _units and has a label unit.
//
// # Traces
//
// [Traces] makes a span of each acquire, report and release, in the trace of the
// caller, whose context comes as a W3C traceparent in the call's metadata. A call
// that waited has an event for each bucket at which it stood, with the reason. No
// user, permit or header is in a span. Without [Traces] nothing is done for any
// call.
package telemetry
