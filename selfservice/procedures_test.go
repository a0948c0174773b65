package selfservice_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tink-crypto/tink-go/v2/prf"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
	"ente.example/idp/login"
	"ente.example/idp/login/logintest"
	"ente.example/idp/secrets"
	"ente.example/idp/selfservice"
	"ente.example/idp/throttle"
)

// Samantha and Franco have everything that recovery and revocation ask for.
const (
	samantha = "MLLSNT82P65Z404U"
	franco   = "RSSFNC80T31F205U"

	mobile = "+491512345678"
	email  = "samantha@posta.example"
	pec    = "samantha@pec.example"
	card   = "80380000300123456789"
)

const withEverything = `fiscal_code,given_name,family_name,residence_street,residence_locality,residence_country,health_card_number,health_card_expiry,mobile,email,pec
` + samantha + `,Samantha,Miller,Leopoldstr. 1,München,DE,` + card + `,2031-12-31,` + mobile + `,` + email + `,` + pec + `
` + franco + `,Franco,Rossi,Leopoldstr. 2,München,DE,` + card + `,2031-12-31,` + mobile + `,` + email + `,` + pec + `
`

// bureau is a house with our pages and people who may use them.
type bureau struct {
	*logintest.House
	t   *testing.T
	key *prf.Set // what captchas follow from; nil where there are none
}

func newBureau(t *testing.T, db *database.DB, withCaptchas bool) *bureau {
	t.Helper()
	h := &bureau{House: logintest.New(t, db), t: t}
	var captchas *throttle.Captchas
	if withCaptchas {
		ring, err := secrets.New()
		h.key = must(t, ring, err).PRF(secrets.Throttle)
		captchas, err = throttle.NewCaptchas(throttle.CaptchaDeps{DB: db, Key: h.key})
		must(t, captchas, err)
	}
	pages, err := selfservice.New(selfservice.Deps{
		Interactions: h.Interactions, DB: h.DB, Sessions: h.Sessions, Citizens: h.Citizens, Clients: h.Clients, Credentials: h.Credentials, Captchas: captchas,
	})
	must(t, pages, err).Mount(h.Echo)
	report, err := h.Citizens.Import(t.Context(), strings.NewReader(withEverything), citizens.ImportOptions{})
	if must(t, report, err); len(report.Bad) > 0 {
		t.Fatal(report.Bad)
	}
	return h
}

// bureaus runs fn on both databases; captchas are off.
func bureaus(t *testing.T, fn func(t *testing.T, h *bureau)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *database.DB) { fn(t, newBureau(t, db, false)) })
}

var (
	captchaID = regexp.MustCompile(`name="captcha_id" value="([^"]+)"`)
	codeAlone = regexp.MustCompile(`(?m)^([0-9]{8}|[0-9A-Z]{10})$`)
	linkAlone = regexp.MustCompile(`(?m)^https?://[^/]+(/pin/\S+)$`)
	timeShown = regexp.MustCompile(`<time datetime="[^"]*">[^<]*</time>`)
	tokenHere = regexp.MustCompile(`name="form_token" value="[^"]*"`)
)

// solved answers the captcha of a page.
func (h *bureau) solved(p logintest.Page) string {
	h.t.Helper()
	found := captchaID.FindStringSubmatch(p.Body)
	if found == nil {
		h.t.Fatalf("no captcha on page %s", p.Name)
	}
	answer, err := throttle.SolveCaptcha(h.key, found[1])
	return must(h.t, answer, err)
}

// mail is the newest letter of that key: its code, and its link without the host.
func (h *bureau) mail(key delivery.MessageKey) (code, link string) {
	h.t.Helper()
	list := h.Letters(key)
	if len(list) == 0 {
		h.t.Fatalf("no %s has arrived", key)
	}
	text := list[len(list)-1].Body.Reveal()
	if found := linkAlone.FindStringSubmatch(text); found != nil {
		link = found[1]
	}
	return codeAlone.FindString(text), link
}

func (h *bureau) is(p logintest.Page, name string, status int) logintest.Page {
	h.t.Helper()
	if p.Name != name || p.Status != status {
		h.t.Fatalf("page %q, status %d, problem %q; want %q, %d", p.Name, p.Status, p.Problem, name, status)
	}
	return p
}

// recovery fills the first page in.
func (h *bureau) recovery(b *logintest.Browser, fields ...string) logintest.Page {
	h.t.Helper()
	return b.Submit(h.is(b.Get("/pin/recover"), "pin-recover", http.StatusOK), fields...)
}

// revocation fills the first page in.
func (h *bureau) revocation(b *logintest.Browser, fields ...string) logintest.Page {
	h.t.Helper()
	return b.Submit(h.is(b.Get("/pin/revoke"), "pin-revoke", http.StatusOK), fields...)
}

func (h *bureau) state(fiscalCode string, want credentials.State) {
	h.t.Helper()
	st, err := h.Credentials.Status(h.t.Context(), h.FiscalCode(fiscalCode))
	if must(h.t, st, err); st.State != want {
		h.t.Errorf("the PIN is %s, want %s", st.State, want)
	}
}

// signIn goes through the login form and returns the page or redirect after it.
func (h *bureau) signIn(b *logintest.Browser, client clients.Client, fiscalCode, pin string) (login.Interaction, logintest.Page) {
	h.t.Helper()
	i := b.Begin(client.ID, login.Request{Params: "client_id=" + client.ID})
	return i, b.Submit(b.Get("/login/"+i.ID), "fiscal_code", fiscalCode, "pin", pin)
}

// R35 to R40 through the forms: from the contacts to the PIN of 8, with the
// mail opened in another browser, and the old sessions ended.
func TestR35ToR40OnThePages(t *testing.T) {
	bureaus(t, func(t *testing.T, h *bureau) {
		client := h.Client(clients.Document{})
		old := h.PIN(samantha)
		signedIn := h.Browser()
		h.signIn(signedIn, client, samantha, old)
		if signedIn.Cookie("session") == "" {
			t.Fatal("not signed in")
		}
		b := h.Browser()
		h.is(h.recovery(b, "fiscal_code", strings.ToLower(samantha), "mobile", "+49 151 2345678", "email", "SAMANTHA@posta.example"), "neutral", http.StatusOK)
		h.Deliver()
		code, link := h.mail(credentials.RecoveryCode)
		if !strings.HasPrefix(link, "/pin/recover/confirm?t=") || len(code) != 8 {
			t.Fatalf("R37: link %q, code of %d", link, len(code))
		}
		other := h.Browser()
		for range 3 { // R37: programs that look through mail open it as well
			h.is(other.Get(link), "pin-recover-confirm", http.StatusOK)
		}
		page := other.Get(link)
		h.is(other.Submit(page, "fiscal_code", samantha, "code", code[:4]+" "+code[4:]), "done", http.StatusOK)
		h.state(samantha, credentials.Active) // until both parts have left
		h.Deliver()
		if p := signedIn.Get("/"); strings.Contains(p.Body, "Samantha Miller") {
			t.Error("the session outlives the old PIN")
		}
		_, refused := h.signIn(b, client, samantha, old)
		if refused.Problem != "login.refused" {
			t.Errorf("the old PIN: %q", refused.Problem)
		}
		i, next := h.signIn(b, client, samantha, h.NewPIN())
		if next.Location != "/login/"+i.ID+"/pin" {
			t.Fatalf("R40: status %d to %q", next.Status, next.Location)
		}
		dead := h.is(other.Get(link), "link-dead", http.StatusGone)
		if dead.Problem != "link.dead" || !strings.Contains(dead.Body, `href="/pin/recover"`) {
			t.Errorf("R38: %q", dead.Problem)
		}
		h.is(other.Submit(page, "fiscal_code", samantha, "code", code), "link-dead", http.StatusGone)
	})
}

// R47 to R52 through the forms.
func TestR47ToR52OnThePages(t *testing.T) {
	bureaus(t, func(t *testing.T, h *bureau) {
		client := h.Client(clients.Document{})
		old := h.PIN(samantha)
		signedIn := h.Browser()
		h.signIn(signedIn, client, samantha, old)
		b := h.Browser()
		p := h.is(h.revocation(b, "fiscal_code", samantha, "health_card_number", "8038 0000 3001 2345 6789",
			"health_card_expiry", "31/12/2031", "email", "altra@posta.example"), "neutral", http.StatusOK)
		words := "La richiesta di revoca del PIN è stata accettata. Le arriverà a momenti una email, al suo indirizzo di posta elettronica, con le istruzioni per il completamento della procedura"
		if !strings.Contains(p.Body, words) {
			t.Error("R49: the words of acceptance")
		}
		h.Deliver()
		code, link := h.mail(credentials.RevocationCode)
		page := h.is(b.Get(link), "pin-revoke-confirm", http.StatusOK)
		h.state(samantha, credentials.Active)
		h.is(b.Submit(page, "fiscal_code", samantha, "code", strings.ToLower(code)), "done", http.StatusOK)
		h.state(samantha, credentials.Revoked)
		if p := signedIn.Get("/"); strings.Contains(p.Body, "Samantha Miller") {
			t.Error("R52: the session outlives the PIN")
		}
		if _, p := h.signIn(b, client, samantha, old); p.Problem != "login.refused" {
			t.Errorf("the revoked PIN: %q", p.Problem)
		}
		h.is(b.Submit(page, "fiscal_code", samantha, "code", code), "link-dead", http.StatusGone)
		h.is(b.Get(link), "link-dead", http.StatusGone)
	})
}

// everybody is one person in each state that nobody must be able to tell.
func (h *bureau) everybody() map[string]string {
	h.t.Helper()
	h.PIN(samantha)
	h.PIN(franco)
	must(h.t, 0, h.Credentials.Suspend(h.t.Context(), audit.Actor{Kind: audit.Operator}, h.FiscalCode(franco), "report"))
	h.FirstPIN(logintest.Mario)
	return map[string]string{
		"match": samantha, "suspended": franco, "never used": logintest.Mario, "no PIN": logintest.Anna, "unknown": stranger,
	}
}

// plain takes out of a page what differs between any two.
func plain(p logintest.Page) string {
	return tokenHere.ReplaceAllString(timeShown.ReplaceAllString(p.Body, "<time>"), "")
}

// R35, R49: the same page, status and length for everybody; from then on the
// difference is in the mailbox alone.
func TestSameAnswerForEverybody(t *testing.T) {
	bureaus(t, func(t *testing.T, h *bureau) {
		people := h.everybody()
		for what, ask := range map[string]func(b *logintest.Browser, fiscalCode, address string) logintest.Page{
			"recover": func(b *logintest.Browser, fiscalCode, address string) logintest.Page {
				return h.recovery(b, "fiscal_code", fiscalCode, "mobile", mobile, "email", address)
			},
			"revoke": func(b *logintest.Browser, fiscalCode, address string) logintest.Page {
				return h.revocation(b, "fiscal_code", fiscalCode, "health_card_number", card, "health_card_expiry", "2031-12-31", "email", address)
			},
		} {
			want := h.is(ask(h.Browser(), samantha, email), "neutral", http.StatusOK)
			for name, fiscalCode := range people {
				for _, address := range []string{email, "another@posta.example"} {
					got := ask(h.Browser(), fiscalCode, address)
					if got.Status != want.Status || len(got.Body) != len(want.Body) || plain(got) != plain(want) {
						t.Errorf("%s, %s: status %d, %d bytes; want %d, %d", what, name, got.Status, len(got.Body), want.Status, len(want.Body))
					}
				}
			}
		}
	})
}

// Confirmations: a wrong code, no request, nobody at all, a request that is
// over and five wrong codes look the same to whoever has neither code nor link.
func TestSameRefusalForEverybody(t *testing.T) {
	bureaus(t, func(t *testing.T, h *bureau) {
		people := h.everybody()
		h.recovery(h.Browser(), "fiscal_code", samantha, "mobile", mobile, "email", email)
		h.revocation(h.Browser(), "fiscal_code", samantha, "health_card_number", card, "health_card_expiry", "31/12/2031", "email", email)
		h.Deliver()
		for path, code := range map[string]string{"/pin/recover/confirm": "00000000", "/pin/revoke/confirm": "AAAAAAAAAA"} {
			try := func(fiscalCode string) logintest.Page {
				b := h.Browser()
				return b.Submit(b.Get(path), "fiscal_code", fiscalCode, "code", code)
			}
			want := try(samantha)
			if want.Status != http.StatusOK || want.Problem != "code.wrong" {
				t.Fatalf("%s: status %d, %q", path, want.Status, want.Problem)
			}
			for range 6 { // past the fifth
				if got := try(samantha); plain(got) != plain(want) || len(got.Body) != len(want.Body) {
					t.Errorf("%s: the answer changes with the tries", path)
				}
			}
			for name, fiscalCode := range people {
				got := try(fiscalCode)
				if got.Status != want.Status || plain(got) != strings.ReplaceAll(plain(want), samantha, fiscalCode) {
					t.Errorf("%s, %s: status %d, %d bytes, want %d", path, name, got.Status, len(got.Body), len(want.Body))
				}
			}
		}
	})
}

// R16: what is wrong is named at its field, what was typed stays; secrets come
// back empty.
func TestMistakesInProcedures(t *testing.T) {
	bureaus(t, func(t *testing.T, h *bureau) {
		b := h.Browser()
		for _, c := range []struct {
			name, path, shown string
			fields            []string
		}{
			{"one contact", "/pin/recover", `id="email-error"`, []string{"fiscal_code", samantha, "mobile", mobile}},
			{"e-mail and PEC alike", "/pin/recover", `id="pec-error"`, []string{"fiscal_code", samantha, "email", email, "pec", strings.ToUpper(email)}},
			{"no number", "/pin/recover", `id="mobile-error"`, []string{"fiscal_code", samantha, "mobile", "12", "email", email}},
			{"no codice fiscale", "/pin/recover", `id="fiscal_code-error"`, []string{"mobile", mobile, "email", email}},
			{"19 digits", "/pin/revoke", `id="health_card_number-error"`, []string{"fiscal_code", samantha, "health_card_number", card[1:], "health_card_expiry", "31/12/2031", "email", email}},
			{"no such day", "/pin/revoke", `id="health_card_expiry-error"`, []string{"fiscal_code", samantha, "health_card_number", card, "health_card_expiry", "31/02/2031", "email", email}},
			{"no address", "/pin/revoke", `id="email-error"`, []string{"fiscal_code", samantha, "health_card_number", card, "health_card_expiry", "31/12/2031", "email", "samantha"}},
			{"seven digits", "/pin/recover/confirm", `id="code-error"`, []string{"fiscal_code", samantha, "code", "1234567"}},
			{"letters", "/pin/recover/confirm", `id="code-error"`, []string{"fiscal_code", samantha, "code", "1234567A"}},
			{"nine characters", "/pin/revoke/confirm", `id="code-error"`, []string{"fiscal_code", samantha, "code", "ABCDEFGHJ"}},
			{"no code", "/pin/report", `id="code-error"`, []string{"fiscal_code", samantha}},
		} {
			p := b.Submit(b.Get(c.path), c.fields...)
			if p.Status != http.StatusOK || p.Problem != "form.invalid-field" || !strings.Contains(p.Body, c.shown) {
				t.Errorf("%s: status %d, %q", c.name, p.Status, p.Problem)
			}
			for i := 0; i < len(c.fields); i += 2 {
				kept := strings.Contains(html.UnescapeString(p.Body), `value="`+c.fields[i+1]+`"`)
				if secret := c.fields[i] == "code"; kept == secret {
					t.Errorf("%s: field %s kept: %v", c.name, c.fields[i], kept)
				}
			}
		}
		if n := h.rows("pin_procedures"); n != 0 {
			t.Errorf("%d requests were kept", n)
		}
	})
}

func (h *bureau) rows(from string) (n int) {
	h.t.Helper()
	must(h.t, 0, h.DB.Read(h.t.Context()).Raw(`SELECT count(*) FROM `+from).Row().Scan(&n))
	return n
}

// R54: a captcha at each of three forms; a wrong one is asked again and never
// costs a try at the code, and the fields stay.
func TestR54CaptchaBeforeTheCode(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newBureau(t, db, true)
		h.PIN(samantha)
		b := h.Browser()
		fields := []string{"fiscal_code", samantha, "mobile", mobile, "email", email}
		p := h.recovery(b, append(fields, "captcha", "AAAAAAA")...)
		if p.Problem != "captcha.wrong" || !strings.Contains(p.Body, `value="`+email+`"`) {
			t.Fatalf("wrong captcha: %q", p.Problem)
		}
		if p = b.Submit(p, fields...); p.Problem != "form.invalid-field" {
			t.Errorf("no captcha: %q", p.Problem)
		}
		if p = b.Submit(p, append(fields, "action", "another")...); p.Problem != "" || !strings.Contains(p.Body, `value="`+email+`"`) {
			t.Errorf("another captcha: %q", p.Problem)
		}
		if n := h.rows("pin_procedures"); n != 0 {
			t.Fatalf("%d requests without a captcha", n)
		}
		answered := append(fields, "captcha", strings.ToLower(h.solved(p)))
		h.is(b.Submit(p, answered...), "neutral", http.StatusOK)
		if p := b.Submit(p, answered...); p.Problem != "captcha.wrong" {
			t.Errorf("the same captcha again: %q", p.Problem)
		}

		fields = []string{"fiscal_code", samantha, "health_card_number", card, "health_card_expiry", "31/12/2031", "email", email}
		p = b.Get("/pin/revoke")
		h.is(b.Submit(p, append(fields, "captcha", h.solved(p))...), "neutral", http.StatusOK)
		h.Deliver()
		code, link := h.mail(credentials.RevocationCode)
		p = b.Get(link)
		for range 6 {
			if p = b.Submit(p, "fiscal_code", samantha, "code", code, "captcha", "AAAAAAA"); p.Problem != "captcha.wrong" {
				t.Fatalf("wrong captcha: %q", p.Problem)
			}
		}
		h.state(samantha, credentials.Active)
		h.is(b.Submit(p, "fiscal_code", samantha, "code", code, "captcha", h.solved(p)), "done", http.StatusOK)
		h.state(samantha, credentials.Revoked)
	})
}

// "That was not me": by the link of a mail it takes one button and no sign-in,
// by an SMS a code; opening changes nothing.
func TestReportOnThePages(t *testing.T) {
	bureaus(t, func(t *testing.T, h *bureau) {
		b := h.Browser()
		for _, fiscalCode := range []string{samantha, franco} {
			h.PIN(fiscalCode)
			h.recovery(b, "fiscal_code", fiscalCode, "mobile", mobile, "email", email)
			h.Deliver()
			link, code := "", ""
			for _, l := range h.Letters(credentials.NoticeRecoveryStarted) {
				text := l.Body.Reveal()
				if l.Channel == delivery.SMS {
					code = codeAlone.FindString(text)
					if strings.Contains(text, "://") {
						t.Errorf("an SMS with a link: %s", text)
					}
				} else {
					link = linkAlone.FindStringSubmatch(text)[1]
				}
			}
			if fiscalCode == samantha {
				page := h.is(b.Get(link), "pin-report", http.StatusOK)
				h.state(samantha, credentials.Active)
				h.is(b.Submit(page), "done", http.StatusOK)
				h.is(b.Get(link), "link-dead", http.StatusGone)
				h.is(b.Submit(page), "link-dead", http.StatusGone)
			} else {
				page := b.Get("/pin/report")
				if p := b.Submit(page, "fiscal_code", samantha, "code", code); p.Problem != "code.wrong" {
					t.Errorf("another's code: %q", p.Problem)
				}
				h.is(b.Submit(page, "fiscal_code", franco, "code", code), "done", http.StatusOK)
			}
			h.state(fiscalCode, credentials.Suspended)
		}
	})
}

// Opening pages, with links made up or true, changes nothing in the database,
// and R41: nobody frames them.
func TestProceduresOpenWithoutConsequence(t *testing.T) {
	bureaus(t, func(t *testing.T, h *bureau) {
		h.PIN(samantha)
		b := h.Browser()
		h.recovery(b, "fiscal_code", samantha, "mobile", mobile, "pec", pec)
		h.Deliver()
		_, link := h.mail(credentials.RecoveryCode)
		_, report := h.mail(credentials.NoticeRecoveryStarted)
		count := databasetest.Count(t, h.DB)
		for _, path := range []string{
			"/pin/recover", "/pin/recover/confirm", link, report, "/pin/recover/confirm?t=made-up", "/pin/revoke", "/pin/revoke/confirm",
			"/pin/revoke/confirm?t=made-up", "/pin/report", "/pin/report?t=made-up",
		} {
			p := b.Get(path)
			if want := map[bool]int{true: http.StatusGone, false: http.StatusOK}[strings.Contains(path, "made-up")]; p.Status != want {
				t.Errorf("%s: status %d, want %d", path, p.Status, want)
			}
			for _, want := range []string{"frame-ancestors 'none'", "form-action 'self'"} {
				if !strings.Contains(p.Header.Get("Content-Security-Policy"), want) {
					t.Errorf("R41: %s without %s", path, want)
				}
			}
			if !strings.Contains(p.Header.Get("Cache-Control"), "no-store") {
				t.Errorf("%s may be kept: %q", path, p.Header.Get("Cache-Control"))
			}
		}
		if writes := count.Writes(); len(writes) > 0 {
			t.Errorf("opening pages wrote: %q", writes)
		}
	})
}

// R5: the sign-in that was left for a recovery is found again at its end.
func TestR5RecoveryLeadsBackToTheSignIn(t *testing.T) {
	bureaus(t, func(t *testing.T, h *bureau) {
		client := h.Client(clients.Document{})
		h.PIN(samantha)
		b := h.Browser()
		i := b.Begin(client.ID, login.Request{Params: "client_id=" + client.ID})
		p := b.Get("/pin/recover?sign_in=" + i.ID)
		p = h.is(b.Submit(p, "fiscal_code", samantha, "mobile", mobile, "email", email), "neutral", http.StatusOK)
		next := "/pin/recover/confirm?sign_in=" + i.ID
		if !strings.Contains(p.Body, `href="`+next+`"`) {
			t.Fatalf("no way on to %s", next)
		}
		h.Deliver()
		code, _ := h.mail(credentials.RecoveryCode)
		p = h.is(b.Submit(b.Get(next), "fiscal_code", samantha, "code", code), "done", http.StatusOK)
		if !strings.Contains(p.Body, `href="/authorize/`+i.ID+`"`) {
			t.Error("no way back to the sign-in")
		}
	})
}

// A form that another site has posted is refused before anything is read.
func TestProceduresNeedTheirForm(t *testing.T) {
	bureaus(t, func(t *testing.T, h *bureau) {
		b := h.Browser()
		for _, path := range []string{"/pin/recover", "/pin/recover/confirm", "/pin/revoke", "/pin/revoke/confirm", "/pin/report"} {
			p := b.Post(path, url.Values{"fiscal_code": {samantha}, "mobile": {mobile}, "email": {email}})
			if p.Status != http.StatusForbidden {
				t.Errorf("%s without its token: status %d", path, p.Status)
			}
		}
	})
}

// The pages say how long a code is good for, in the reader's language.
func TestNeutralPageSaysUntilWhen(t *testing.T) {
	bureaus(t, func(t *testing.T, h *bureau) {
		b := h.Browser()
		p := h.recovery(b, "fiscal_code", samantha, "mobile", mobile, "email", email)
		rome, err := time.LoadLocation("Europe/Rome")
		must(t, rome, err)
		day := time.Now().Add(24 * time.Hour).In(rome).Format("2006-01-02")
		if !strings.Contains(p.Body, `<time datetime="`+day) {
			t.Errorf("no %s on the page", day)
		}
	})
}
