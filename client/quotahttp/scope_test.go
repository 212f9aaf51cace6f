package quotahttp_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/quotabroker/quotabroker/client/quotahttp"
)

// TestPeerBug17: the path is what the request has, not URL.RawPath, which is empty
// for ordinary URLs.
func TestPeerBug17(t *testing.T) {
	a := httptest.NewRequest(http.MethodGet, "/v2/people/1", http.NoBody)
	b := httptest.NewRequest(http.MethodGet, "/v2/connections", http.NoBody)
	if a.URL.RawPath != "" {
		t.Fatal("this is not the ordinary case")
	}
	if x, y := quotahttp.DefaultEndpoint(a), quotahttp.DefaultEndpoint(b); x == y {
		t.Errorf("both are %q", x)
	}
}

func TestDefaultEndpoint(t *testing.T) {
	for path, want := range map[string]string{
		"/":                           "GET /",
		"/me":                         "GET /me",
		"/me/":                        "GET /me",
		"/users/torvalds/repos":       "GET /users/*",
		"/v2":                         "GET /v2",
		"/v2/people/123":              "GET /v2/people/*",
		"/v2/people/(id:123)":         "GET /v2/people/*",
		"/v1.1/search/tweets.json":    "GET /v1.1/search/*",
		"/api/v10/channels/81384":     "GET /api/v10/channels/*",
		"/rest/posts":                 "GET /rest/posts",
		"/v1/v2/v3/v4":                "GET /v1/v2/{id}/*",
		"/v123456":                    "GET /{id}",
		"/81384788765712384":          "GET /{id}",
		"/urn%3Ali%3Aperson%3A1/x":    "GET /{id}/*",
		"/caf%C3%A9":                  "GET /{id}",
		"/a%2Fb":                      "GET /{id}",
		"/saved-search_es":            "GET /saved-search_es",
		"/" + strings.Repeat("a", 33): "GET /{id}",
		"/search?q=1":                 "GET /search",
	} {
		r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
		if got := quotahttp.DefaultEndpoint(r); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
		r.Method = ""
		if got := quotahttp.DefaultEndpoint(r); got != want {
			t.Errorf("%s without a method is %q, want %q", path, got, want)
		}
	}
}

func TestRoutes(t *testing.T) {
	routes := quotahttp.Routes(
		"GET /v2/people/{id}", "GET /v2/people/me", "GET /v2/people/{id}/posts", "POST /v2/people/{id}",
		"GET /v2/files/*", "GET /{any}/{thing}", "GET /", "GET /v2/a b",
	)
	for call, want := range map[string]string{
		"GET /v2/people/123":          "GET /v2/people/{id}",
		"GET /v2/people/123/":         "GET /v2/people/{id}",
		"GET /v2/people/a%2Fb":        "GET /v2/people/{id}",
		"GET /v2/people/me":           "GET /v2/people/me",
		"GET /v2/%70eople/me":         "GET /v2/people/me",
		"GET /v2/people/123/posts":    "GET /v2/people/{id}/posts",
		"POST /v2/people/123":         "POST /v2/people/{id}",
		"GET /v2/files":               "GET /v2/files/*",
		"GET /v2/files/a/b/c":         "GET /v2/files/*",
		"GET /x/y":                    "GET /{any}/{thing}",
		"GET /":                       "GET /",
		"GET /v2/a%20b":               "GET /v2/a b",
		"PUT /v2/people/123":          "PUT /v2/people/*",
		"GET /v2/people/123/comments": "GET /v2/people/*",
	} {
		method, path, _ := strings.Cut(call, " ")
		if got := routes(httptest.NewRequest(method, path, http.NoBody)); got != want {
			t.Errorf("%s is %q, want %q", call, got, want)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/v2/people/me", http.NoBody)
	r.Method = ""
	if got := routes(r); got != "GET /v2/people/me" {
		t.Errorf("without a method it is %q", got)
	}
}

func TestBadRoutes(t *testing.T) {
	for _, template := range []string{"", "/v2/people", "GET", "GET v2/people", " /v2", "GET /a//b", "GET /*/a", "GET /a{id}", "GET /a?b=c", "GET /a#b"} {
		_, err := quotahttp.ParseRoutes("GET /fine", template)
		if err == nil || !strings.Contains(err.Error(), `"`+template+`"`) {
			t.Errorf("%q: %v", template, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("Routes took a template that is none")
		}
	}()
	quotahttp.Routes("nonsense")
}

// FuzzRoutes: any template is taken or refused, and one that is taken gives every
// request one of its templates or the default.
func FuzzRoutes(f *testing.F) {
	f.Add("GET /v2/people/{id}", "GET", "/v2/people/1")
	f.Add("GET /v2/*", "GET", "/v2")
	f.Add("POST /", "POST", "//%2F/%zz")
	f.Add("GET /{}", "", "")
	f.Fuzz(func(t *testing.T, template, method, path string) {
		part, err := quotahttp.ParseRoutes(template)
		if err != nil {
			return
		}
		r := &http.Request{Method: method, URL: &url.URL{Path: path}}
		if got := part(r); got != template && got != quotahttp.DefaultEndpoint(r) {
			t.Errorf("%q for %s %s", got, method, path)
		}
	})
}

func TestHeaderPart(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	user := quotahttp.Header("X-User")
	if got := user(r); got != "" {
		t.Errorf("without it: %q", got)
	}
	r.Header["x-USER"] = []string{"raw"} // as some middleware puts it
	if got := user(r); got != "raw" {
		t.Errorf("with a key as it was on the wire: %q", got)
	}
	r.Header.Set("X-User", "u-7")
	if got := user(r); got != "u-7" {
		t.Errorf("got %q", got)
	}
}
