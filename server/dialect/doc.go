// Package dialect turns what an upstream answered into what the model of its
// quotas understands: header fields and bodies into [quota.Observation] values,
// a verdict on the call, and how long to wait.
//
// Four dialects are built in:
//
//   - "ietf" reads the RateLimit fields of draft-ietf-httpapi-ratelimit-headers,
//     03 to 10, as that document has them;
//   - "auto" reads the same and whatever resembles it: X-RateLimit-*,
//     X-Rate-Limit-*, RateLimit-* and Rate-Limit-* in any order of their words;
//   - "linkedin" reads what "auto" does and, where there is no such field, the
//     text of a refusal, which names the scope and the window;
//   - "meta" reads the share of its limits that an application has used, in
//     percent, and the codes of its refusals.
//
// [Free] makes of each one that of an API which does not count some answers.
//
// # How a number is read
//
// A count is a decimal number in ASCII digits: "57", "57.0", "+57", "057". Less
// than zero is zero, more than [quota.MaxQuota] is that; a remaining is rounded
// down and a use up. A limit of 0 was not told, and one below zero means that
// there is none. A 429 that has 0 left of 0 is about something else than what these
// fields tell of otherwise (in Okta the calls under way), and its reset is when to
// come back. Anything else ("NaN", "1e3", "0x10", "1_000", "unlimited") is ignored,
// with a reason. A value that was sent twice, or joined by commas, is
// read once when it is the same; when it differs the worst for us holds: the
// lowest limit and remaining, the greatest use, the latest reset. Lists of
// different limits with as many counts are several buckets, by position.
//
// # How a time is read
//
// In "ietf", RateLimit-Reset and t= are seconds to go. In "auto" a reset, and
// everywhere Retry-After, says by its own size what it is, because one name is
// used for all of them:
//
//	below 10⁹                 seconds to go
//	10⁹ to below 10¹¹         Unix time in seconds
//	10¹² to below 10¹⁴        Unix time in milliseconds
//	6m0s, 547ms               a duration as Go writes it
//	2026-01-01T01:01:01Z      an instant (RFC 3339; seconds may be missing)
//	Thu, 01 Jan 2026 …        an instant (the three forms of an HTTP date)
//
// What is past is zero: the window has turned, the wait is over. A reset more
// than 366 days ahead is none, whatever it was; a Retry-After is cut to
// [quota.DefaultMaxReset].
//
// An instant is measured from the response's Date, which is of the same clock,
// when that is within two hours of when the response came in: enough for a
// clock that is off by a time zone. A Date further off is a stale one, and the
// instant is then measured from when the response came in, with a wider slack.
//
// # What counts as a refusal
//
// A 429 is one. A 503 with Retry-After is an upstream that protects itself, and
// nobody's quota is spent; so is, in "auto", a 429 with X-RateLimit-Scope: shared.
// One with X-RateLimit-Global: true, or with that scope, is about all calls of the
// application, whatever else it tells of. Nothing else is, a 403 least of all: it takes more
// than a status to know a 403 from a missing right, and "meta" has more.
//
// An answer out of a cache (Age above zero, or X-From-Cache) is no news: it
// makes no observations.
package dialect
