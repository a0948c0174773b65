package provider

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// posted sends a request as a service's form does, without our cookies.
func (s *service) posted(values url.Values) answer {
	s.t.Helper()
	r := must[*http.Request](s.t)(http.NewRequestWithContext(s.t.Context(), http.MethodPost,
		s.issuer+authorizePath, strings.NewReader(values.Encode())))
	r.Header.Set("Content-Type", formContentType)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	return s.do(r)
}

// Whoever may send a request may send any number of them: what is kept of one
// for an hour is what counts of it, and no more than fits into an address.
func TestKeptRequestsAreSmall(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newInstallation(t, db).service("")
		much := strings.Repeat("x", 50_000)
		a := s.posted(s.params("junk", much, "prompt", "login"))
		s.follow(a) // the first browser has it
		i := s.interaction(a)
		if len(i.Params) > 1000 || strings.Contains(i.Params, "junk") {
			t.Errorf("%d bytes are kept, want what counts alone", len(i.Params))
		}
		for _, name := range []string{"state", "login_hint", "claims", "ui_locales"} {
			a := s.posted(s.params(name, much))
			if v := s.reply(a); v.Get("error") != codeInvalidRequest {
				t.Errorf("%s without end: %v, want %s", name, v.Get("error"), codeInvalidRequest)
			}
			if n := len(a.Header.Get("Location")); n > maxRequest {
				t.Errorf("%s without end: an answer of %d bytes", name, n)
			}
		}
	})
}

// Every parameter that counts survives the way through the pages.
func TestKeptRequestsAreWhole(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newInstallation(t, db).service(`{"resources": ["https://a.example", "https://b.example"]}`)
		sent := s.params("prompt", "login", "max_age", "60", "response_mode", "form_post", "login_hint", "h", "ui_locales", "en",
			"acr_values", "x", "claims", `{"userinfo": {"name": null}}`)
		sent["resource"] = []string{"https://a.example", "https://b.example"}
		a := s.posted(sent)
		s.follow(a) // the first browser has it
		i := s.interaction(a)
		if i.Params != sent.Encode() {
			t.Errorf("kept %q, want %q", i.Params, sent.Encode())
		}
	})
}

// An essential acr without values in one member does not hide the one with
// values in the other.
func TestEssentialACRInEitherMember(t *testing.T) {
	t.Parallel()
	c, err := parseClaims(`{"id_token": {"acr": {"essential": true}}, "userinfo": {"acr": {"essential": true, "values": ["L9"]}}}`)
	if got := c.essentialACR(); err != nil || len(got) != 1 || got[0] != "L9" {
		t.Errorf("essential levels = %v, %v, want L9", got, err)
	}
}

// One token has one spelling: a text that differs in the bits that base64
// leaves over, in padding or in white space is none of ours.
func TestTokensHaveOneSpelling(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newInstallation(t, db).service("")
		s.signIn(s.people())
		token, _ := s.tokens()["access_token"].(string)
		if !s.alive(token) {
			t.Fatal("the token itself is refused")
		}
		alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		last := strings.IndexByte(alphabet, token[len(token)-1])
		other := token[:len(token)-1] + alphabet[last^1:][:1]
		sig := token[strings.LastIndexByte(token, '.')+1:]
		a, errA := base64.RawURLEncoding.DecodeString(sig)
		b, errB := base64.RawURLEncoding.DecodeString(other[len(token)-len(sig):])
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Fatal("the two texts do not say the same")
		}
		for name, text := range map[string]string{
			"other bits": other, "padded": token + "==", "broken": strings.Replace(token, ".", "\n.", 1),
		} {
			if _, _, err := s.provider.keys.Verify(t.Context(), text, TypAccessToken); err == nil {
				t.Errorf("%s: taken for a token", name)
			}
		}
	})
}

// The page names the host that this answer goes to, and not another that the
// client has registered too.
func TestPagesNameWhereTheAnswerGoes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newInstallation(t, db).service(`{"subject_type": "public", "redirect_uris": ["https://bank.example/cb", "` + callback + `"]}`)
		page := s.follow(s.follow(s.authorize()))
		if !strings.Contains(page.body, "service.example") || strings.Contains(page.body, "bank.example") {
			t.Errorf("the page of a sign-in that ends at service.example: %d\n%s", page.StatusCode, page.body)
		}
	})
}
