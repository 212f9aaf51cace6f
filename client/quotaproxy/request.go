package quotaproxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxUser is the longest name of a user that a broker counts by, in bytes.
const maxUser = 256

// user is for whom a request is made. Its error says what is wrong with the
// header, without repeating it.
func (p *Proxy) user(r *http.Request) (string, error) {
	name := p.config.UserHeader
	if name == "" {
		return "", nil
	}
	values := r.Header.Values(name)
	if len(values) > 1 {
		return "", fmt.Errorf("header %s: given %d times: give it once", name, len(values))
	}
	user := strings.Join(values, "")
	switch {
	case len(user) > maxUser:
		return "", fmt.Errorf("header %s: %d bytes: at most %d", name, len(user), maxUser)
	case !utf8.ValidString(user) || strings.ContainsFunc(user, unicode.IsControl):
		return "", fmt.Errorf("header %s: must be UTF-8 without control characters", name)
	}
	return user, nil
}

// maxShort is the longest body that is read before a permit is asked for.
const maxShort = 64 << 10

// readShort reads a short body whole. The server then also notices when the
// client leaves, which it can't while a body is still to come.
func readShort(r *http.Request) error {
	if r.ContentLength <= 0 || r.ContentLength > maxShort {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxShort))
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// rewrite makes of a client's request the one that goes upstream.
func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	r.SetURL(p.config.Upstream)
	if p.config.DropUser {
		r.Out.Header.Del(p.config.UserHeader)
	}
	if accepted := r.Out.Header.Values("Accept-Encoding"); len(accepted) > 0 {
		r.Out.Header.Set("Accept-Encoding", narrow(strings.Join(accepted, ",")))
	}
}

// narrow is the encoding to ask for on behalf of a client that accepts these:
// gzip, which the body of an error can be read through, or none.
func narrow(accepted string) string {
	for part := range strings.SplitSeq(accepted, ",") {
		coding, params, _ := strings.Cut(part, ";")
		refused := strings.Trim(strings.ReplaceAll(params, " ", ""), "0.") == "q="
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") && !refused {
			return "gzip"
		}
	}
	return "identity"
}
