package clients

import (
	"strings"
	"testing"
)

func TestRedirectURIs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		uri, kind string
		refused   string // part of the reason; empty: accepted
	}{
		{"https://servizio.example.it/callback", ApplicationWeb, ""},
		{"https://servizio.example.it", ApplicationWeb, ""},
		{"https://servizio.example.it:8443/a/b?tenant=1&x=%2F", ApplicationWeb, ""},
		{"https://xn--citt-3na.example/cb", ApplicationWeb, ""},
		{"https://[2001:db8::1]/cb", ApplicationWeb, ""},
		{"http://localhost:8081/callback", ApplicationWeb, ""},
		{"http://127.0.0.1/callback", ApplicationWeb, ""},
		{"http://[::1]:5000/callback", ApplicationWeb, ""},
		{"http://127.0.0.1/callback", ApplicationNative, ""},
		{"it.ente.app:/callback", ApplicationNative, ""},
		{"it.ente.app://callback", ApplicationNative, ""},
		{"https://app.example.it/claimed", ApplicationNative, ""},

		{"", ApplicationWeb, "empty"},
		{"/callback", ApplicationWeb, "absolute"},
		{"//servizio.example.it/cb", ApplicationWeb, "absolute"},
		{"https:cb", ApplicationWeb, "slash"},
		{"https:///cb", ApplicationWeb, "must use https"},
		{"https://a.example/" + strings.Repeat("a", maxURI), ApplicationWeb, "too long"},
		{"http://servizio.example.it/cb", ApplicationWeb, "http only on"},
		{"http://127.0.0.2/cb", ApplicationWeb, "http only on"},
		{"http://localhost.example.it/cb", ApplicationWeb, "http only on"},
		{"http://localhost./cb", ApplicationWeb, "bad host"},
		{"http://0x7f.0.0.1/cb", ApplicationWeb, "http only on"},
		{"http://2130706433/cb", ApplicationWeb, "http only on"},
		{"http://[::ffff:127.0.0.1]/cb", ApplicationWeb, "http only on"},
		{"http://[0:0:0:0:0:0:0:1]/cb", ApplicationWeb, "IPv6"},
		{"http://[fe80::1%25lo0]/cb", ApplicationWeb, "IPv6"},
		{"https://a@servizio.example.it/cb", ApplicationWeb, "user information"},
		{"http://evil.example:x@127.0.0.1:9999/cb", ApplicationNative, "user information"},
		{"https://servizio.example.it/cb#x", ApplicationWeb, "fragment"},
		{"https://servizio.example.it/cb#", ApplicationWeb, "fragment"},
		{"https://*.example.it/cb", ApplicationWeb, "wildcard"},
		{"https://servizio.example.it/*", ApplicationWeb, "wildcard"},
		{"https://servizio.example.it/a/../cb", ApplicationWeb, "dot segment"},
		{"https://servizio.example.it/a/./cb", ApplicationWeb, "dot segment"},
		{"https://servizio.example.it/a/%2e%2e/cb", ApplicationWeb, "encoded"},
		{"https://servizio.example.it/a/%2E%2E/cb", ApplicationWeb, "encoded"},
		{"https://servizio.example.it/a%2fcb", ApplicationWeb, "encoded"},
		{"https://servizio.example.it/a%5c..%5ccb", ApplicationWeb, "encoded"},
		{"https://servizio.example.it/a%252fcb", ApplicationWeb, "encoded"},
		{`https://servizio.example.it\@evil.example/cb`, ApplicationWeb, "percent-encoded"},
		{"https://servizio.example.it/c b", ApplicationWeb, "percent-encoded"},
		{"https://servizio.example.it/cb\r\nSet-Cookie:x", ApplicationWeb, "percent-encoded"},
		{"https://città.example/cb", ApplicationWeb, "percent-encoded"},
		{"https://servizio%2eexample.it/cb", ApplicationWeb, "URI"},
		{"https://Servizio.example.it/cb", ApplicationWeb, "lower case"},
		{"HTTPS://servizio.example.it/cb", ApplicationWeb, "lower case"},
		{"https://servizio.example.it:/cb", ApplicationWeb, "port"},
		{"https://servizio.example.it:0/cb", ApplicationWeb, "port"},
		{"https://servizio.example.it:0443/cb", ApplicationWeb, "port"},
		{"https://servizio.example.it:65536/cb", ApplicationWeb, "port"},
		{"https://servizio.example.it:http/cb", ApplicationWeb, "URI"},
		{"https://-a.example/cb", ApplicationWeb, "bad host"},
		{"https://a..example/cb", ApplicationWeb, "bad host"},
		{"javascript:alert(1)", ApplicationNative, "slash"},
		{"javascript:/alert(1)", ApplicationNative, "reverse domain"},
		{"javascript://a.example/%0aalert(1)", ApplicationNative, "reverse domain"},
		{"data:text/html,x", ApplicationNative, "slash"},
		{"data:/text/html,x", ApplicationNative, "reverse domain"},
		{"vbscript:/x", ApplicationNative, "reverse domain"},
		{"file:///etc/passwd", ApplicationNative, "reverse domain"},
		{"ftp://a.example/", ApplicationNative, "reverse domain"},
		{"myapp://callback", ApplicationNative, "reverse domain"},
		{"It.Ente.App:/callback", ApplicationNative, "lower case"},
		{"it.ente.app:callback", ApplicationNative, "slash"},
		{"it..app:/callback", ApplicationNative, "reverse domain"},
		{"it.ente.app:/callback", ApplicationWeb, "application_type"},
		{"it.ente.app://", ApplicationNative, "plain form"},
		{"urn:ietf:wg:oauth:2.0:oob", ApplicationNative, "slash"},
	} {
		err := checkRedirect(test.uri, test.kind)
		switch {
		case test.refused == "" && err != nil:
			t.Errorf("checkRedirect(%q, %s) = %v, want it accepted", test.uri, test.kind, err)
		case test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused)):
			t.Errorf("checkRedirect(%q, %s) = %v, want a reason with %q", test.uri, test.kind, err, test.refused)
		}
	}
}

func TestMatchRedirect(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		registered, kind, uri string
		want                  bool
	}{
		{"https://a.example/cb", ApplicationWeb, "https://a.example/cb", true},
		{"https://a.example/cb", ApplicationWeb, "https://a.example/cb/", false},
		{"https://a.example/cb", ApplicationWeb, "https://a.example/CB", false},
		{"https://a.example/cb", ApplicationWeb, "https://A.example/cb", false},
		{"https://a.example/cb", ApplicationWeb, "https://a.example:443/cb", false},
		{"https://a.example/cb", ApplicationWeb, "https://a.example/cb?x=1", false},
		{"https://a.example/cb", ApplicationWeb, "https://a.example/x/../cb", false},
		{"https://a.example/cb", ApplicationWeb, "https://a.example/cb#", false},
		{"https://a.example/cb", ApplicationWeb, "", false},
		{"http://127.0.0.1:8081/cb", ApplicationWeb, "http://127.0.0.1:8082/cb", false},

		{"http://127.0.0.1/cb", ApplicationNative, "http://127.0.0.1:49152/cb", true},
		{"http://127.0.0.1:1/cb", ApplicationNative, "http://127.0.0.1:49152/cb", true},
		{"http://[::1]:1/cb", ApplicationNative, "http://[::1]:49152/cb", true},
		{"http://[::1]/cb", ApplicationNative, "http://[::1]:1/cb", true},
		{"http://localhost/cb", ApplicationNative, "http://localhost:49152/cb", true},
		{"http://127.0.0.1/cb", ApplicationNative, "http://localhost:49152/cb", false},
		{"http://127.0.0.1/cb", ApplicationNative, "http://[::1]:49152/cb", false},
		{"http://127.0.0.1/cb", ApplicationNative, "https://127.0.0.1:49152/cb", false},
		{"http://127.0.0.1/cb", ApplicationNative, "http://127.0.0.1:49152/cb?x", false},
		{"http://127.0.0.1/cb", ApplicationNative, "http://127.0.0.1:49152/cb#x", false},
		{"http://127.0.0.1/cb", ApplicationNative, "http://127.0.0.1:49152/other", false},
		{"http://127.0.0.1/cb", ApplicationNative, "http://evil.example:x@127.0.0.1:9999/cb", false},
		{"http://127.0.0.1/cb", ApplicationNative, "http://127.0.0.1:9999@evil.example/cb", false},
		{"http://127.0.0.1/cb", ApplicationNative, "http://127.0.0.1:/cb", false},
		{"https://a.example/cb", ApplicationNative, "https://a.example:8443/cb", false},
		{"it.ente.app:/cb", ApplicationNative, "it.ente.app:/cb", true},
		{"it.ente.app:/cb", ApplicationNative, "IT.ente.app:/cb", false},
		{"it.ente.app://h:1/cb", ApplicationNative, "it.ente.app://h:2/cb", false},
	} {
		c := Client{Metadata: Metadata{RedirectURIs: []string{test.registered}, ApplicationType: test.kind}}
		if got := c.MatchRedirect(test.uri); got != test.want {
			t.Errorf("registered %q (%s): MatchRedirect(%q) = %v, want %v", test.registered, test.kind, test.uri, got, test.want)
		}
	}
}

// FuzzRedirectURI holds what must be true of whatever gets through: read back,
// it is the same text with nothing hidden in it, and it matches only itself.
func FuzzRedirectURI(f *testing.F) {
	for _, seed := range []string{
		"https://a.example/cb", "http://[::1]:80/cb?x", "it.ente.app:/cb", "http://a:b@127.0.0.1/",
		"https://a.example/%2e%2e/", "javascript://x.y/%0a", "https://a.example\\@b", "http://127.0.0.1:08/",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, native bool) {
		kind := ApplicationWeb
		if native {
			kind = ApplicationNative
		}
		if checkRedirect(text, kind) != nil {
			return
		}
		u, err := parseURI(text)
		if err != nil || u.String() != text || u.User != nil || u.Fragment != "" || strings.ContainsAny(text, "#*\\ \r\n") {
			t.Fatalf("accepted %q, which reads as %v (%v)", text, u.URL, err)
		}
		scheme, _, _ := strings.Cut(text, ":")
		safe := scheme == "https" || scheme == "http" && u.loopback || native && strings.Contains(scheme, ".")
		if !safe {
			t.Fatalf("accepted %q for %s", text, kind)
		}
		c := Client{Metadata: Metadata{RedirectURIs: []string{text}, ApplicationType: kind}}
		if !c.MatchRedirect(text) || c.MatchRedirect(text+"x") || c.MatchRedirect(strings.ToUpper(text)) {
			t.Fatalf("%q does not match itself alone", text)
		}
	})
}
