package show

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/quotaadmin"
)

// none stands for what there is not, so that every cell has something.
const none = "-"

// printable is a name without what a terminal would obey or not show. Callers
// and upstreams choose names.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

// name is a cell's text.
func name(s string) string {
	if s == "" {
		return none
	}
	return printable(s)
}

// span is a duration as a person wants it: in its two greatest units.
func span(d *quotaadmin.Seconds) string {
	const day = 24 * time.Hour
	switch {
	case d == nil:
		return none
	case time.Duration(*d) >= day:
		return units(time.Duration(*d), day, "d", time.Hour, "h")
	case time.Duration(*d) >= time.Hour:
		return units(time.Duration(*d), time.Hour, "h", time.Minute, "m")
	case time.Duration(*d) >= 10*time.Second:
		return units(time.Duration(*d), time.Minute, "m", time.Second, "s")
	}
	return time.Duration(*d).Round(100 * time.Millisecond).String()
}

func units(d, great time.Duration, greatName string, small time.Duration, smallName string) string {
	d = d.Round(small)
	text := ""
	if n := d / great; n > 0 {
		text = fmt.Sprint(int64(n), greatName)
	}
	if n := d % great / small; n > 0 {
		text += fmt.Sprint(int64(n), smallName)
	}
	return text
}

// between is two bounds of a duration.
func between(least, most *quotaadmin.Seconds) string {
	from, to := span(least), span(most)
	if from == to {
		return from
	}
	return from + " to " + to
}

// counted is what a bucket counts.
func counted(q *quotaadmin.Quota) client.Scope {
	return client.Scope{API: q.API, App: q.App, User: q.User, Endpoint: q.Endpoint, Labels: q.Labels}
}

// where is all parts of a scope.
func where(s client.Scope) string {
	text := printable(s.API) + "/" + printable(s.App)
	if k := key(s); k != none {
		text += " " + k
	}
	return text
}

// key is the parts of a scope besides API and application.
func key(s client.Scope) string {
	var parts []string
	if s.User != "" {
		parts = append(parts, "user="+quoted(s.User))
	}
	if s.Endpoint != "" {
		parts = append(parts, "endpoint="+quoted(s.Endpoint))
	}
	for _, label := range slices.Sorted(maps.Keys(s.Labels)) {
		parts = append(parts, quoted(label)+"="+quoted(s.Labels[label]))
	}
	return name(strings.Join(parts, " "))
}

// quoted quotes what could be mistaken for the text around it.
func quoted(s string) string {
	if strings.ContainsAny(s, " =\"") {
		return strconv.Quote(s)
	}
	return s
}

// unit is in what a bucket counts, where that needs saying.
func unit(u string) string {
	if u == "requests" {
		return ""
	}
	return " " + printable(u)
}

// number is one that may not be known.
func number(n int64) string {
	if n < 0 {
		return "?"
	}
	return strconv.FormatInt(n, 10)
}
