// Package recording is the form of a broker's recordings: what was asked, what was
// decided, and what came back, a JSON object a line.
//
// A recording begins with a line that says when, by which version, and whether the
// users in it are shown. A broker that is started again appends to its file: that
// line then comes again. Each other line is a configuration, or one acquire, report
// or release:
//
//	{"at_us":0,"began":{"format":2,"version":"v1.2.3","wall":"2026-03-02T09:00:00Z","users":"hidden"}}
//	{"at_us":12,"config":{"apis":{"linkedin":{"dialect":"linkedin","limits":[{"name":"app-day","per":["app"],"quota":100000,"window":{"kind":"calendar","unit":"day","zone":"UTC"}}],"send_within_us":5000000,"report_within_us":300000000}}}}
//	{"at_us":51200,"acquire":{"scope":{"api":"linkedin","app":"app-1","user":"u-5d0f2c51ac3e8d10","endpoint":"GET /v2/me"},"caller":"importer","waited_us":0,"permit":"p-9be4a3d17c52f086"}}
//	{"at_us":198034,"report":{"permit":"p-9be4a3d17c52f086","caller":"importer","result":"sent","status":200,"headers":[["x-ratelimit-remaining","99999"]],"since_sent_us":140311}}
//
// All times are whole microseconds, at_us since the recording began by a clock that
// nobody sets. Lines are in the order in which they were written, which may differ
// from that of their times by a little.
//
// Users, the values of labels, and permits are pseudonyms unless the recording says
// that users are shown: the same for the same value within one recording, and in the
// one in which it goes on when it has become too long, and of no use outside them,
// because the key that made them is kept nowhere. Applications, endpoints and callers
// are as they were.
package recording
