package quota

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// wantField checks that err is a *FieldError of the field, in one clean line
// that has a remedy; "" wants no error.
func wantField(t *testing.T, err error, field string) {
	t.Helper()
	if field == "" {
		if err != nil {
			t.Errorf("unexpected: %v", err)
		}
		return
	}
	var fe *FieldError
	if !errors.As(err, &fe) {
		t.Fatalf("error %v, want a *FieldError of %s", err, field)
	}
	if fe.Field != field || fe.Remedy == "" {
		t.Errorf("field %q, remedy %q; want field %q and a remedy", fe.Field, fe.Remedy, field)
	}
	if text := fe.Error(); len(text) > 400 || strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		t.Errorf("not one clean line: %q", text)
	}
}

// badParts is what no part of a scope can be.
var badParts = map[string]string{
	"257 bytes":            strings.Repeat("x", MaxPart+1),
	"257 bytes of runes":   strings.Repeat("é", MaxPart/2) + "x",
	"NUL":                  "a\x00b",
	"newline":              "a\n",
	"the separator":        "a\x1fb",
	"DEL":                  "a\x7f",
	"C1, next line":        "a\u0085b",
	"C1, the last":         "\u009f",
	"not UTF-8":            "a\xff",
	"a cut rune":           "\xc3",
	"a surrogate, as CESU": "\xed\xa0\x80",
}

// goodParts is what looks bad and is not.
var goodParts = []string{
	"", "a", strings.Repeat("x", MaxPart), strings.Repeat("é", MaxPart/2), " ", `"`, "=", "/", "\u00a0", "日本", "\ufffd", "😀",
	"GET /v2/{id}?a=b&c=\"d\"",
}

func TestScopeValidate(t *testing.T) {
	fields := map[string]func(*Scope, string){
		"scope.api":      func(s *Scope, v string) { s.API = v },
		"scope.app":      func(s *Scope, v string) { s.App = v },
		"scope.user":     func(s *Scope, v string) { s.User = v },
		"scope.endpoint": func(s *Scope, v string) { s.Endpoint = v },
	}
	for field, set := range fields {
		for name, bad := range badParts {
			t.Run(field+"/"+name, func(t *testing.T) {
				s := call
				set(&s, bad)
				wantField(t, s.Validate(), field)
			})
		}
		for _, good := range goodParts {
			if good == "" && field == "scope.api" {
				continue
			}
			s := call
			set(&s, good)
			wantField(t, s.Validate(), "")
		}
	}
	wantField(t, Scope{}.Validate(), "scope.api")
	wantField(t, Scope{App: "app", User: "u"}.Validate(), "scope.api")
	wantField(t, Scope{API: "api"}.Validate(), "")
}

func TestNewLabels(t *testing.T) {
	long := strings.Repeat("n", MaxPart)
	for name, tc := range map[string]struct {
		labels map[string]string
		field  string
	}{
		"none":            {nil, ""},
		"four":            {map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"}, ""},
		"five":            {map[string]string{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}, "scope.labels"},
		"no name":         {map[string]string{"": "1"}, "scope.labels"},
		"longest":         {map[string]string{long: long}, ""},
		"long name":       {map[string]string{long + "n": "1"}, "scope.labels"},
		"long value":      {map[string]string{"a": long + "n"}, "scope.labels.a"},
		"bad name":        {map[string]string{"a\x1fb": "1"}, "scope.labels"},
		"bad value":       {map[string]string{"a": "1\x1f"}, "scope.labels.a"},
		"value not UTF-8": {map[string]string{"a": "\xff"}, "scope.labels.a"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewLabels(tc.labels)
			wantField(t, err, tc.field)
		})
	}
}

func TestLabelsAreWhatTheyWereMadeOf(t *testing.T) {
	l, err := NewLabels(map[string]string{"tenant": "t1", "region": "eu", "empty": ""})
	wantField(t, err, "")
	var got []string
	for name, value := range l.All {
		got = append(got, name+"="+value)
	}
	if strings.Join(got, " ") != "region=eu tenant=t1" {
		t.Errorf("labels %v, want region and tenant in this order, and nothing that is empty", got)
	}
	if l.Get("tenant") != "t1" || l.Get("empty") != "" || l.Get("none") != "" {
		t.Errorf("Get: %q %q %q", l.Get("tenant"), l.Get("empty"), l.Get("none"))
	}
	for range l.All {
		break // stopping early is allowed
	}
	if again, _ := NewLabels(map[string]string{"region": "eu", "tenant": "t1"}); again != l {
		t.Error("equal labels are not equal")
	}
}

// mustLabels makes labels of names and values in turn.
func mustLabels(pairs ...string) Labels {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	l, err := NewLabels(m)
	if err != nil {
		panic(err)
	}
	return l
}

func TestScopeStringIsStable(t *testing.T) {
	for want, s := range map[string]Scope{
		`/`: {},
		`linkedin/app1 user=u1 endpoint="GET /v2/me" label.tenant=t1`: {
			API: "linkedin", App: "app1", User: "u1", Endpoint: "GET /v2/me", Labels: mustLabels("tenant", "t1"),
		},
		`api/ user="a b"`:                          {API: "api", User: "a b"},
		`api/"a/b" endpoint="user=u"`:              {API: "api", App: "a/b", Endpoint: "user=u"},
		`api/app label.a=1 label.b="\""`:           {API: "api", App: "app", Labels: mustLabels("b", `"`, "a", "1")},
		`api/"ä"`:                                  {API: "api", App: "ä"},
		`api/app user=back\slash endpoint="\\ \""`: {API: "api", App: "app", User: `back\slash`, Endpoint: `\ "`},
	} {
		if got := s.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// hostile draws parts that try to look like the text around them.
var hostile = rapid.OneOf(
	rapid.SampledFrom([]string{
		"", "a", "b", " ", "  ", `"`, `""`, `"a"`, "=", "/", `\`, `\"`, "user=a", " user=a", "a user=b", `a" user="b`, "label.a=b", "a label.b",
		"endpoint=a", "a/b", "//", `"/"`, "app", "ä", "\u00e4", "a\u0308", "\ufffd", "\u00a0",
	}),
	rapid.StringOfN(rapid.RuneFrom([]rune(` "=/\ab.ä`)), 0, 4, -1),
)

var anyScope = rapid.Custom(func(t *rapid.T) Scope {
	s := Scope{
		API: hostile.Draw(t, "api"), App: hostile.Draw(t, "app"),
		User: hostile.Draw(t, "user"), Endpoint: hostile.Draw(t, "endpoint"),
	}
	m := map[string]string{}
	for range rapid.IntRange(0, 2).Draw(t, "labels") {
		if name := hostile.Draw(t, "name"); name != "" {
			m[name] = hostile.Draw(t, "value")
		}
	}
	var err error
	if s.Labels, err = NewLabels(m); err != nil {
		t.Fatalf("labels %q: %v", m, err)
	}
	return s
})

// Different scopes have different texts: the text is the key of a store.
func TestPropertyScopeStringIsInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyScope.Draw(t, "a")
		b := a
		switch other := anyScope.Draw(t, "b"); rapid.IntRange(0, 5).Draw(t, "what differs") {
		case 0:
			b = other
		case 1:
			b.User, b.Endpoint = b.Endpoint, b.User
		case 2:
			b.User, b.Endpoint = a.User+" endpoint="+a.Endpoint, ""
		case 3:
			b.API, b.App = a.API+"/"+a.App, ""
		case 4:
			b.Labels = other.Labels
		case 5:
			b.App = other.App
		}
		if (a == b) != (a.String() == b.String()) {
			t.Fatalf("%#v\n%#v\n%s\n%s", a, b, a, b)
		}
	})
}

var anyParts = rapid.Custom(func(t *rapid.T) Parts {
	names := []string{"app"}
	for _, name := range []string{"user", "endpoint", "tenant", "region"} {
		if rapid.Bool().Draw(t, name) {
			names = append(names, name)
		}
	}
	p, err := NewParts(names...)
	if err != nil {
		t.Fatal(err)
	}
	return p
})

var fewScopes = rapid.Custom(func(t *rapid.T) Scope {
	part := rapid.SampledFrom([]string{"", "a", "b"})
	return Scope{
		API: part.Draw(t, "api"), App: part.Draw(t, "app"), User: part.Draw(t, "user"), Endpoint: part.Draw(t, "endpoint"),
		Labels: mustLabels("tenant", part.Draw(t, "tenant"), "region", part.Draw(t, "region")),
	}
})

// The key of a bucket: taking it twice is taking it once, the call matches it,
// and two calls share one exactly when they agree on the parts that count.
func TestPropertyOnlyAndMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, r, p := fewScopes.Draw(t, "s"), fewScopes.Draw(t, "r"), anyParts.Draw(t, "parts")
		key := s.Only(p)
		if key.Only(p) != key {
			t.Fatalf("Only is not idempotent: %v, %v", key, key.Only(p))
		}
		if !s.Matches(key) || !s.Matches(s) || !s.Matches(Scope{}) {
			t.Fatalf("%v does not match its key %v, itself or everything", s, key)
		}
		agree := s.API == r.API && s.App == r.App && (!p.User || s.User == r.User) && (!p.Endpoint || s.Endpoint == r.Endpoint)
		for _, name := range p.Labels() {
			agree = agree && s.Labels.Get(name) == r.Labels.Get(name)
		}
		if agree != (key == r.Only(p)) {
			t.Fatalf("by %v: keys %v and %v, want equal: %v", p, key, r.Only(p), agree)
		}
		if s.Matches(r) && r.Matches(s) && s != r {
			t.Fatalf("%v and %v match each other and differ", s, r)
		}
		if full := r.API != "" && r.App != "" && r.User != "" && r.Endpoint != "" &&
			r.Labels.Get("tenant") != "" && r.Labels.Get("region") != ""; full && s.Matches(r) != (s == r) {
			t.Fatalf("%v matches %v, which names every part", s, r)
		}
	})
}

func TestMatchesNamesEveryPart(t *testing.T) {
	s := Scope{API: "api", App: "app", User: "u", Endpoint: "e", Labels: mustLabels("tenant", "t")}
	for _, no := range []Scope{
		{API: "other"}, {App: "other"}, {User: "other"}, {Endpoint: "other"}, {Labels: mustLabels("tenant", "other")},
		{Labels: mustLabels("region", "t")}, {API: "api", App: "app", User: "u", Endpoint: "e", Labels: mustLabels("tenant", "t", "region", "r")},
	} {
		if s.Matches(no) {
			t.Errorf("matches %v", no)
		}
	}
}

func TestNewParts(t *testing.T) {
	for name, tc := range map[string]struct {
		names []string
		want  string
		bad   bool
	}{
		"app alone":      {[]string{"app"}, "app", false},
		"any order":      {[]string{"tenant", "endpoint", "region", "app", "user"}, "app+user+endpoint+region+tenant", false},
		"four labels":    {[]string{"app", "a", "b", "c", "d"}, "app+a+b+c+d", false},
		"five labels":    {[]string{"app", "a", "b", "c", "d", "e"}, "", true},
		"none":           {nil, "", true},
		"without app":    {[]string{"user"}, "", true},
		"twice":          {[]string{"app", "user", "user"}, "", true},
		"a label twice":  {[]string{"app", "a", "a"}, "", true},
		"app twice":      {[]string{"app", "app"}, "", true},
		"api":            {[]string{"app", "api"}, "", true},
		"empty":          {[]string{"app", ""}, "", true},
		"control bytes":  {[]string{"app", "a\x1f"}, "", true},
		"257 bytes":      {[]string{"app", strings.Repeat("x", 257)}, "", true},
		"not UTF-8":      {[]string{"app", "\xff"}, "", true},
		"case is a name": {[]string{"app", "User"}, "app+User", false},
	} {
		t.Run(name, func(t *testing.T) {
			before := strings.Join(tc.names, ",")
			p, err := NewParts(tc.names...)
			if strings.Join(tc.names, ",") != before {
				t.Errorf("the caller's names were changed: %v", tc.names)
			}
			if tc.bad {
				wantField(t, err, "per")
				return
			}
			wantField(t, err, "")
			if p.String() != tc.want {
				t.Errorf("%v, want %s", p, tc.want)
			}
		})
	}
}

// Parts are what their names say, whatever the order; those that hold more calls
// together are wider; and one that counts by user counts no call without a user.
func TestPartsLaws(t *testing.T) {
	a, _ := NewParts("app", "user", "tenant")
	b, _ := NewParts("tenant", "app", "user")
	if a != b {
		t.Errorf("%v and %v differ", a, b)
	}
	if again, err := NewParts(a.Names()...); err != nil || again != a {
		t.Errorf("%v of its own names: %v, %v", a, again, err)
	}
	if (Parts{}).width() <= a.width() {
		t.Errorf("the application is as narrow as %v", a)
	}
	if a.Applies(Scope{API: "api"}) || !a.Applies(Scope{API: "api", User: "u"}) {
		t.Error("a limit by user counts exactly the calls that have one")
	}
	if !(Parts{Endpoint: true}).Applies(Scope{API: "api"}) {
		t.Error("an empty endpoint is an endpoint of its own")
	}
	tenant, _ := NewParts("app", "tenant")
	for _, tt := range []struct {
		wide, narrow Parts
		holds        bool
	}{
		{Parts{}, a, true}, {a, Parts{}, false}, {tenant, a, true}, {a, tenant, false},
		{tenant, Parts{User: true}, false}, {Parts{User: true}, tenant, false}, {Parts{Endpoint: true}, a, false}, {a, a, true},
	} {
		if tt.wide.holds(tt.narrow) != tt.holds {
			t.Errorf("%v holds all of %v: %v", tt.wide, tt.narrow, !tt.holds)
		}
	}
}
