package provider

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/labstack/echo/v4"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// No input is answered with a fault of ours: not from a stranger, not from a
// client that has proved who it is, not from a browser that is signed in.

// nonsense makes requests out of what could go wrong, each from its seed alone.
type nonsense struct {
	*rand.Rand
	house  *house
	routes []*echo.Route
	basic  *service
	signer asserter
	public *service
	values []string // that mean something somewhere
	cookie []*http.Cookie
	token  string // of forms, for the browser with that cookie
	good   []url.Values
}

// hostile are values that somebody's parser has once stumbled over.
func hostile() []string {
	list := []string{
		"", " ", "\x00", "a\x00b", "\xff\xfe", "\xed\xa0\x80", "\r\nSet-Cookie: x=y", "%", "%00", "%zz", "+", "&", "=", ";", "\u202egnp.exe", "\ufeff", "à", "😀",
		"0", "-1", "1", "1e400", "-1e400", "NaN", "Infinity", "9223372036854775807", "9223372036854775808", "18446744073709551616", "1e3", "0x10", "٣", " 1", "+1",
		"'", `"`, "\\", "' OR 1=1 --", "<script>alert(1)</script>", "javascript:alert(1)", "data:text/html,x", "../../etc/passwd", "{{.}}", "${x}",
		"null", "{}", "[]", `{"a":`, `{"userinfo":{"a":null,"a":null}}`, `{"id_token":{"sub":{"value":1}}}`, `{"id_token":{"acr":{"essential":true,"values":[1e400]}}}`,
		`{"id_token":[]}`, `[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]`, "a.b.c", "..", "...", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJub25lIn0.eyJpc3MiOjF9.",
		"eyJhbGciOiJIUzI1NiJ9.e30.AA", "eyJhbGciOiJFUzI1NiIsImtpZCI6IlwwIn0.e30.AA", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AA.AA.AA", "rt_", "rt_AAAA",
		"urn:ietf:params:oauth:request_uri:", "urn:ietf:params:oauth:request_uri:x", "urn:ietf:params:oauth:request_uri:\x00", "https://evil.example/", "http://127.0.0.1:1/", "http://[::1]:1/x",
		"openid", "openid openid", "openid\x0boffline_access", "none login", "none", "login consent create", "code id_token token", "query.jwt", "form_post.jwt", "jwt", "S256", "plain",
		":AAAA:", ":" + base64.StdEncoding.EncodeToString([]byte("0\x820")) + ":", "Bearer", "Basic Og==", "Basic AA==", "DPoP x", "Bearer a.b.c", "*", `W/"x", *`,
	}
	for _, long := range []string{"x", "é", "[", `{"a":`, "%", " ", "1", "."} {
		list = append(list, strings.Repeat(long, 300), strings.Repeat(long, 9000))
	}
	return list
}

// parameters are the names that some endpoint looks at.
func parameters() []string {
	return strings.Fields(`client_id redirect_uri response_type response_mode scope state nonce code_challenge code_challenge_method resource prompt max_age
		claims id_token_hint acr_values login_hint ui_locales dpop_jkt request request_uri registration display device grant_type code code_verifier refresh_token
		device_code user_code action form_token client_secret client_assertion client_assertion_type token token_type_hint subject_token subject_token_type
		actor_token actor_token_type requested_token_type audience access_token post_logout_redirect_uri ticket cancel lang answer remember fiscal_code pin authorization_details assertion`)
}

// members are those of a registration.
func members() []string {
	return strings.Fields(`redirect_uris post_logout_redirect_uris application_type token_endpoint_auth_method token_endpoint_auth_signing_alg grant_types response_types
		scope client_name client_name#it client_uri logo_uri policy_uri tos_uri initiate_login_uri contacts software_id software_version jwks jwks_uri subject_type
		sector_identifier_uri id_token_signed_response_alg userinfo_signed_response_alg default_max_age require_auth_time default_acr_values request_uris
		authorization_signed_response_alg backchannel_logout_uri frontchannel_logout_uri dpop_bound_access_tokens request_object_signing_alg
		id_token_encrypted_response_alg id_token_encrypted_response_enc tls_client_auth_subject_dn tls_client_auth_san_ip tls_client_auth_san_uri tls_client_auth_san_dns
		tls_client_auth_san_email purpose consent resources may_introspect sector profile client_id client_secret client_secret_digest software_statement
		authorization_details_types assertion_issuers access_token_format request_object_encryption_alg request_object_encryption_enc`)
}

func newNonsense(t testing.TB, db *database.DB) *nonsense {
	t.Helper()
	h := buildHouse(t, db, newSecrets(t), func(d *Deps) {
		d.Registration, d.RegistrationProfile = RegistrationOpen, clients.ProfileOIDC
		d.MutualTLS = MutualTLS{URL: "https://mtls.example", Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	})
	e, ok := h.handler.(*echo.Echo)
	if !ok {
		t.Fatalf("handler is %T", h.handler)
	}
	const grants = `"grant_types": ["authorization_code", "refresh_token", "` + clients.GrantDeviceCode + `"]`
	n := &nonsense{house: h, routes: e.Routes(), signer: h.asserter(jose.ES256, ""), public: h.service(`{"token_endpoint_auth_method": "none", ` + grants + `}`)}
	slices.SortFunc(n.routes, func(a, b *echo.Route) int { return strings.Compare(a.Path+a.Method, b.Path+b.Method) })
	n.basic = h.service(`{"profile": "oidc", "grant_types": ["authorization_code", "refresh_token", "implicit", "client_credentials", "` + clients.GrantDeviceCode + `", "` + clients.GrantTokenExchange + `"],
		"response_types": ["code", "id_token token"], "token_exchange": ["https://b.example/"], "own_audiences": ["https://a.example/"], "resources": ["https://a.example/"], "may_introspect": true}`)
	n.basic.signIn(h.people())
	n.cookie = n.basic.browser.Jar.Cookies(must[*url.URL](t)(url.Parse(issuer)))
	n.collect()
	return n
}

// collect gathers one of everything that is good at one endpoint or another.
func (n *nonsense) collect() {
	s := n.basic
	tokens := s.tokens("scope", "openid offline_access", "resource", "https://a.example/")
	for _, name := range []string{"access_token", "refresh_token", "id_token"} {
		text, _ := tokens[name].(string)
		n.values = append(n.values, text)
	}
	d := &device{service: s}
	d.begin()
	own := n.house.sendJSON(http.MethodPost, registerPath, "", ownDocument).json(n.house.t)
	id, _ := own["client_id"].(string)
	token, _ := own["registration_access_token"].(string)
	open := n.house.do(n.house.get("/authorize?"+s.params("prompt", "login").Encode(), "")).Header.Get("Location")
	n.values = append(n.values, d.code, d.user, id, token, strings.TrimPrefix(open, "/login/"), "urn:ietf:params:oauth:request_uri:"+strings.TrimPrefix(open, "/login/"),
		s.code(), s.client.ID, s.secret, n.public.client.ID, n.signer.client.ID, callback, verifier, challengeOf(verifier), "https://a.example/", "https://b.example/",
		clients.GrantDeviceCode, clients.GrantTokenExchange, tokenTypeAccess, assertionType, "authorization_code", "refresh_token", "client_credentials", "openid profile offline_access",
		"code", "id_token token", "continue", "deny", `{"userinfo":{"name":null}}`)
	n.collectForms(tokens, d)
}

// collectForms gathers requests that are good, for one thing at a time to be
// spoilt.
func (n *nonsense) collectForms(tokens map[string]any, d *device) {
	text := func(name string) string { s, _ := tokens[name].(string); return s }
	page := n.basic.with(n.basic.browser, n.basic.get(devicePath, ""))
	if m := formToken.FindStringSubmatch(page.body); m != nil {
		n.token = m[1]
	}
	for _, pairs := range [][]string{
		{"grant_type", "authorization_code", "code", n.basic.code(), "redirect_uri", callback, "code_verifier", verifier},
		{"grant_type", "refresh_token", "refresh_token", text("refresh_token"), "scope", "openid"},
		{"grant_type", clients.GrantDeviceCode, "device_code", d.code}, {"grant_type", "client_credentials", "scope", "profile"},
		{"grant_type", clients.GrantTokenExchange, "subject_token", text("access_token"), "subject_token_type", tokenTypeAccess, "audience", "https://b.example/"},
		{"token", text("access_token")}, {"token", text("refresh_token")}, {"access_token", text("access_token")}, {"scope", "openid"},
		{"id_token_hint", text("id_token"), "client_id", n.basic.client.ID}, {"user_code", d.user}, {"user_code", d.user, "action", "continue"},
		{"client_assertion_type", assertionType, "client_assertion", n.signer.assertion(), "grant_type", "client_credentials"},
		{"client_id", n.signer.client.ID, "request", n.signer.object()}, {"client_id", n.signer.client.ID, "request", n.signer.object("claims", map[string]any{})},
	} {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		n.good = append(n.good, v)
	}
}

func (n *nonsense) from(list []string) string { return list[n.IntN(len(list))] }

// value is something good, something hostile, or a good thing that was damaged.
func (n *nonsense) value() string {
	switch v := n.from(n.values); n.IntN(8) {
	case 0, 1, 2:
		return v
	case 3:
		i := n.IntN(len(v) + 1)
		return v[:i] + string(rune(n.IntN(0x300))) + v[i:]
	case 4:
		return n.signed()
	default:
		return n.from(hostile())
	}
}

// signed is something that a client has really signed, whatever it says.
func (n *nonsense) signed() string {
	claims := n.signer.claims()
	for range n.IntN(4) {
		claims[n.from(append(parameters(), "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "htm", "htu"))] = n.member()
	}
	text, err := json.Marshal(claims)
	if err != nil {
		return ""
	}
	headers := map[jose.HeaderKey]any{}
	if n.IntN(3) == 0 {
		headers[jose.HeaderKey(n.from([]string{"typ", "cty", "jku", "x5u", "url"}))] = n.from(append(hostile(), "dpop+jwt", "oauth-authz-req+jwt"))
	}
	options := &jose.SignerOptions{ExtraHeaders: headers, EmbedJWK: n.IntN(4) == 0}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: n.signer.key, KeyID: "k"}}, options)
	if err != nil {
		return ""
	}
	jws, err := signer.Sign(text)
	if err != nil {
		return ""
	}
	compact, _ := jws.CompactSerialize()
	return compact
}

// member is a JSON value of any type.
func (n *nonsense) member() any {
	switch n.IntN(9) {
	case 0:
		return nil
	case 1:
		return n.IntN(2) == 0
	case 2:
		return json.Number(n.from([]string{"0", "-1", "1e308", "1.5", "9223372036854775808", "253402300800", "1e18"}))
	case 3:
		return []any{n.value(), n.member()}
	case 4:
		return map[string]any{n.value(): n.member()}
	case 5:
		return []string{n.value()}
	default:
		return strings.ToValidUTF8(n.value(), "?")
	}
}

func (n *nonsense) form() url.Values {
	v := url.Values{}
	switch n.IntN(4) {
	case 0:
		v = n.basic.params()
	case 1, 2:
		v = maps.Clone(n.good[n.IntN(len(n.good))])
	}
	if n.IntN(2) == 0 {
		v.Set("form_token", n.token)
	}
	for range n.IntN(4) {
		name := n.from(parameters())
		if n.IntN(2) == 0 && len(v) > 0 {
			name = n.from(slices.Sorted(maps.Keys(v)))
		}
		if v.Set(name, n.value()); n.IntN(5) == 0 {
			v.Add(name, n.value())
		}
	}
	if n.IntN(10) == 0 {
		v.Add(n.value(), n.value())
	}
	return v
}

func (n *nonsense) document() string {
	d := map[string]any{"redirect_uris": []string{callback}}
	for range n.IntN(6) {
		d[n.from(members())] = n.member()
	}
	text, err := json.Marshal(d)
	if err != nil {
		return "{"
	}
	if n.IntN(6) == 0 {
		return string(text[:n.IntN(len(text))])
	}
	return string(text)
}

// request is one of them.
func (n *nonsense) request(seed uint64) *http.Request {
	n.Rand = rand.New(rand.NewPCG(seed, 0))
	route := n.routes[n.IntN(len(n.routes))]
	for route.Method == http.MethodOptions { // which tells nothing but what is allowed
		route = n.routes[n.IntN(len(n.routes))]
	}
	path := strings.ReplaceAll(route.Path, ":id", url.PathEscape(n.value()))
	method := route.Method
	if n.IntN(6) == 0 {
		method = n.from([]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions, "QUERY"})
	}
	var body io.Reader
	kind := formContentType
	if n.IntN(5) == 0 {
		kind = n.from([]string{"application/json", formContentType + "; charset=utf-7", "multipart/form-data; boundary=x", "text/plain", "", ";", formContentType + "; charset"})
	}
	if method != http.MethodGet && method != http.MethodHead {
		switch {
		case strings.HasPrefix(path, registerPath) && n.IntN(5) > 0:
			kind, body = "application/json", strings.NewReader(n.document())
		default:
			text := n.form().Encode()
			if n.IntN(12) == 0 {
				text += n.from(hostile())
			}
			body = bytes.NewReader([]byte(text))
		}
	}
	r := httptest.NewRequest(method, issuer+"/", body)
	if u, err := url.Parse(path); err == nil {
		r.URL.Path, r.URL.RawPath = u.Path, u.RawPath
	}
	if method == http.MethodGet || n.IntN(6) == 0 {
		r.URL.RawQuery = n.form().Encode()
	}
	n.dress(r, kind)
	return r
}

// dress adds who asks, and headers.
func (n *nonsense) dress(r *http.Request, kind string) {
	r.RemoteAddr = n.from([]string{"192.0.2.1:1234", "198.51.100.1:1234", "[2001:db8::1%x]:1", "@"})
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if n.IntN(3) > 0 {
		r.Header.Set("Origin", issuer)
	}
	if n.IntN(2) == 0 {
		for _, c := range n.cookie {
			r.AddCookie(c)
		}
	}
	switch n.IntN(4) {
	case 0:
		r.SetBasicAuth(url.QueryEscape(n.basic.client.ID), url.QueryEscape(n.basic.secret))
	case 1:
		r.Header.Set("Authorization", n.from([]string{"Bearer ", "DPoP ", "Basic ", ""})+headerText(n.value()))
	}
	for range n.IntN(3) {
		name := n.from([]string{"DPoP", "Client-Cert", "Client-Cert-Chain", "If-None-Match", "Accept", "Accept-Language", "Origin", "Cookie", "X-Forwarded-For",
			"X-Forwarded-Proto", "Forwarded", "X-HTTP-Method-Override", "Sec-Fetch-Site", "Host", "X-Request-Id"})
		r.Header.Add(name, headerText(n.value()))
	}
}

// headerText is what an HTTP server lets through to a handler.
func headerText(v string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, v[:min(len(v), 8000)])
}

// ask sends one and says what came of it.
func (n *nonsense) ask(t *testing.T, seed uint64) int {
	r := n.request(seed)
	w := httptest.NewRecorder()
	n.house.handler.ServeHTTP(w, r)
	if w.Code >= http.StatusInternalServerError {
		t.Errorf("seed %d: %s %s?%s = %d\n%v\n%s", seed, r.Method, r.URL.Path, r.URL.RawQuery, w.Code, r.Header, w.Body)
	}
	if to := w.Header().Get("Location"); strings.ContainsAny(to, "\r\n") || strings.HasPrefix(to, "//") || strings.Contains(to, "evil.example/?") {
		t.Errorf("seed %d: leads to %q", seed, to)
	}
	return w.Code
}

// TestNoInputIsOurFault is a fixed lot of them; the drill fuzzes further.
func TestNoInputIsOurFault(t *testing.T) {
	const requests = 700
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := newNonsense(t, db)
		answers := map[int]int{}
		for seed := range uint64(requests) {
			answers[n.ask(t, seed)]++
		}
		if answers[http.StatusOK] < requests/50 || answers[http.StatusSeeOther] < requests/100 {
			t.Errorf("answers = %v: hardly anything gets beyond the first check", answers)
		}
	})
}

func FuzzEndpoints(f *testing.F) {
	n := newNonsense(f, databasetest.Open(f, databasetest.SQLite(f), nil))
	f.Add(uint64(1 << 40))
	f.Fuzz(func(t *testing.T, seed uint64) { n.ask(t, seed) })
}
