package server

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
)

// fieldErrors is everything that is wrong with one request.
type fieldErrors []*quota.FieldError

// Error has each field, value and remedy in one line.
func (e fieldErrors) Error() string {
	texts := make([]string, len(e))
	for i, f := range e {
		texts[i] = f.Error()
	}
	return strings.Join(texts, "; ")
}

// maxFieldErrors bounds what one answer complains of: it travels in headers.
const maxFieldErrors = 8

// checker converts a request part by part and keeps what is wrong with it. The
// zero value is ready.
type checker struct{ found fieldErrors }

// err is what was found, nil when that is nothing.
func (c *checker) err() error {
	if len(c.found) == 0 {
		return nil
	}
	return c.found
}

// permit is err, or else the error of a permit id that cannot be one.
func (c *checker) permit(id string) error {
	if err := c.err(); err != nil || len(id) <= maxPermitID {
		return err
	}
	return broker.ErrPermitUnknown
}

func (c *checker) reject(field, value, remedy string) {
	c.add(&quota.FieldError{Field: field, Value: value, Remedy: remedy})
}

// add keeps a *quota.FieldError.
func (c *checker) add(err error) {
	if f, ok := errors.AsType[*quota.FieldError](err); ok && len(c.found) < maxFieldErrors {
		c.found = append(c.found, f)
	}
}

// text is a string that is at most quota.MaxPart bytes of printable UTF-8.
func (c *checker) text(field, value string) string {
	c.add(quota.CheckPart(field, value))
	return value
}

// scope is whose call it is: it names an API.
func (c *checker) scope(in *pb.Scope) quota.Scope {
	s := c.pattern(in)
	if s.API == "" {
		c.add(s.Validate())
	}
	return s
}

// pattern is a scope of which any part may be empty.
func (c *checker) pattern(in *pb.Scope) quota.Scope {
	labels, err := quota.NewLabels(in.GetLabels())
	c.add(err)
	return quota.Scope{
		API:      c.text("scope.api", in.GetApi()),
		App:      c.text("scope.app", in.GetApp()),
		User:     c.text("scope.user", in.GetUser()),
		Endpoint: c.text("scope.endpoint", in.GetEndpoint()),
		Labels:   labels,
	}
}

// costs is nil when none are given.
func (c *checker) costs(field string, in map[string]int64) quota.Costs {
	if len(in) == 0 {
		return nil
	}
	costs := quota.Costs(in)
	c.add(costs.Validate(field))
	return costs
}

// duration is 0 when it is absent. One that is too long for Go is the longest
// that Go has, some 292 years.
func (c *checker) duration(field string, in *durationpb.Duration) time.Duration {
	if in == nil {
		return 0
	}
	if in.CheckValid() != nil {
		c.reject(field, fmt.Sprintf("%d s %d ns", in.GetSeconds(), in.GetNanos()),
			"nanos must be below a second and of the sign of seconds, which span at most 10 000 years")
		return 0
	}
	d := in.AsDuration()
	if d < 0 {
		c.reject(field, d.String(), "must not be negative")
	}
	return d
}

func (c *checker) priority(in pb.Priority) broker.Priority {
	switch in {
	case pb.Priority_PRIORITY_UNSPECIFIED, pb.Priority_PRIORITY_NORMAL:
		return broker.Normal
	case pb.Priority_PRIORITY_CRITICAL:
		return broker.Critical
	case pb.Priority_PRIORITY_HIGH:
		return broker.High
	case pb.Priority_PRIORITY_BACKGROUND:
		return broker.Background
	}
	c.reject("priority", in.String(), "one of PRIORITY_CRITICAL, PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_BACKGROUND")
	return broker.Normal
}

// result is what became of the call; unspecified goes by the status code.
func (c *checker) result(in pb.Result, code int32) broker.Result {
	switch in {
	case pb.Result_RESULT_UNSPECIFIED:
		if code == 0 {
			return broker.Lost
		}
		return broker.Sent
	case pb.Result_RESULT_SENT:
		return broker.Sent
	case pb.Result_RESULT_NOT_SENT:
		if code != 0 {
			// Believing "not sent" would credit what the upstream has counted.
			c.reject("result", in.String(), fmt.Sprintf("status_code %d says that it was sent: leave one of the two out", code))
		}
		return broker.NotSent
	case pb.Result_RESULT_UNKNOWN:
		return broker.Lost
	}
	c.reject("result", in.String(), "one of RESULT_SENT, RESULT_NOT_SENT, RESULT_UNKNOWN")
	return broker.Lost
}

func (c *checker) statusCode(code int32) int {
	if code != 0 && (code < 100 || code > 599) {
		c.reject("status_code", fmt.Sprint(code), "must be 100 to 599, or 0 when there was none")
	}
	return int(code)
}

// fields is a response's fields in their order, less those with credentials,
// which nothing here looks at, and those that are too long to mean a number.
func (c *checker) fields(path string, in []*pb.Header) []dialect.Field {
	if len(in) > maxFields {
		c.reject(path, fmt.Sprint(len(in), " fields"), fmt.Sprintf("at most %d: send those that the permit's report_headers name", maxFields))
		return nil
	}
	var fields []dialect.Field
	for i, h := range in {
		name := h.GetName()
		if isCredential(name) {
			continue
		}
		at := fmt.Sprintf("%s[%d].name", path, i)
		if name == "" {
			c.reject(at, name, "a field needs a name")
		}
		c.add(quota.CheckPart(at, name))
		if value := h.GetValue(); len(value) <= maxFieldValue {
			fields = append(fields, dialect.Field{Name: name, Value: value})
		}
	}
	return fields
}

// isCredential reports whether a field is one that no broker should ever see.
func isCredential(name string) bool {
	switch strings.ToLower(name) {
	case "authorization", "proxy-authorization", "cookie", "set-cookie":
		return true
	}
	return false
}
