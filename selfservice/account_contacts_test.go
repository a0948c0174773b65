package selfservice_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/contacts"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login/logintest"
	"ente.example/idp/secrets"
	"ente.example/idp/selfservice"
)

const newMail = "s.miller@nuova.example"

// reachable is a house with Samantha in her area, who has a mobile and an e-mail.
type reachable struct {
	*logintest.House
	t        *testing.T
	contacts *contacts.Service
	browser  *logintest.Browser
	id       citizens.ID
	pin      string
}

func reachables(t *testing.T, fn func(t *testing.T, r *reachable)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *database.DB) { fn(t, newReachable(t, db)) })
}

func newReachable(t *testing.T, db *database.DB) *reachable {
	t.Helper()
	h := logintest.New(t, db)
	ring, err := secrets.New()
	must(t, ring, err)
	changes, err := contacts.New(contacts.Deps{
		DB: db, Citizens: h.Citizens, Pins: h.Credentials, Outbox: h.Outbox(), Audit: h.Audit, Seal: ring.AEAD(secrets.RequestsSeal),
		Keys: ring.PRF(secrets.RequestsIndex), Notify: h.Credentials.Notify, Site: "http://localhost:8080",
	})
	must(t, changes, err)
	pages, err := selfservice.New(selfservice.Deps{
		Interactions: h.Interactions, DB: db, Sessions: h.Sessions, Citizens: h.Citizens, Clients: h.Clients,
		Credentials: h.Credentials, Contacts: changes,
	})
	must(t, pages, err).Mount(h.Echo)
	report, err := h.Citizens.Import(t.Context(), strings.NewReader(strings.ReplaceAll(withEverything, ","+pec, ",")), citizens.ImportOptions{})
	must(t, report, err)
	r := &reachable{House: h, t: t, contacts: changes, browser: h.Browser(), pin: h.PIN(samantha)}
	r.id = h.Citizen(samantha).ID
	wantPage(t, comeIn(t, r.browser, "/account/contacts", samantha, r.pin), "account-contacts", "")
	return r
}

// open is a page of the contacts.
func (r *reachable) open(query string) logintest.Page {
	r.t.Helper()
	p := r.browser.Get("/account/contacts" + query)
	wantPage(r.t, p, "account-contacts", "")
	return p
}

func (r *reachable) says(p logintest.Page, words ...string) {
	r.t.Helper()
	for _, w := range words {
		if !strings.Contains(p.Body, w) {
			r.t.Errorf("no %q on the page", w)
		}
	}
}

// asks sends the form of a new e-mail, and comes to the page that asks for the
// code.
func (r *reachable) asks() logintest.Page {
	r.t.Helper()
	p := r.browser.Submit(r.open("?step=set&kind=email"), "email", newMail, "pin", r.pin, "action", "set")
	r.Deliver()
	p = follow(r.t, r.browser, p)
	wantPage(r.t, p, "account-contacts", "")
	return p
}

var contactLink = regexp.MustCompile(`(?m)^http://localhost:8080(/account/contacts/confirm\?t=\S+)$`)

// letter is what the newest message to be proved by brings.
func (r *reachable) letter() (code, link string) {
	r.t.Helper()
	list := r.Letters(contacts.ContactCode)
	if len(list) == 0 {
		r.t.Fatal("no code has arrived")
	}
	text := list[len(list)-1].Body.Reveal()
	if found := contactLink.FindStringSubmatch(text); found != nil {
		link = found[1]
	}
	return codeAlone.FindString(text), link
}

func (r *reachable) under(kind citizens.ContactKind) *contacts.Change {
	r.t.Helper()
	list, err := r.contacts.List(r.t.Context(), r.id)
	must(r.t, list, err)
	for _, e := range list {
		if e.Kind == kind {
			return e.Change
		}
	}
	return nil
}

func TestR36AContactIsChangedInTheOwnArea(t *testing.T) {
	t.Parallel()
	reachables(t, func(t *testing.T, r *reachable) {
		p := r.open("")
		r.says(p, " *** *** 56 78", "s***@p***.example", "?step=set&amp;kind=pec", "?step=remove&amp;kind=email")
		if strings.Contains(p.Body, email) || strings.Contains(p.Body, mobile) {
			t.Error("a contact stands on the page as it is")
		}
		p = r.asks()
		r.says(p, "s***@n***.example", "Conferma l’e-mail")
		p = r.browser.Submit(p, "code", "00000000", "action", "prove")
		wantPage(t, p, "account-contacts", "form.invalid-field")
		r.says(p, "Non è il codice del messaggio")
		code, _ := r.letter()
		p = follow(t, r.browser, r.browser.Submit(p, "code", code[:4]+" "+code[4:], "action", "prove"))
		wantPage(t, p, "account-contacts", "")
		r.says(p, "In attesa", "s***@p***.example", "s***@n***.example", "Annulla la modifica")
		databasetest.Shift(t, r.DB, 72*time.Hour)
		if err := r.contacts.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := r.Citizen(samantha).Contacts.Email; got.Value.Reveal() != newMail || !got.Verified {
			t.Error("the new e-mail does not count")
		}
	})
}

func TestWhatIsWrongWithANewContact(t *testing.T) {
	t.Parallel()
	reachables(t, func(t *testing.T, r *reachable) {
		for name, c := range map[string]struct {
			kind, value, pin, problem string
			says                      []string
		}{
			"nothing":       {"email", "", "", "form.invalid-field", []string{"email-error", "pin-error"}},
			"no address":    {"email", "samantha", r.pin, "form.invalid-field", []string{"email-error"}},
			"a landline":    {"mobile", "+39 06 67751", r.pin, "form.invalid-field", []string{"mobile-error"}},
			"no PIN":        {"email", newMail, "12", "form.invalid-field", []string{"pin-error"}},
			"a wrong PIN":   {"email", newMail, "00000000", "form.invalid-field", []string{"Non è il tuo PIN"}},
			"what is there": {"email", email, r.pin, "form.invalid-field", []string{"È già il tuo contatto"}},
			"R11":           {"pec", strings.ToUpper(email), r.pin, "form.invalid-field", []string{"È uguale alla tua e-mail"}},
		} {
			p := r.browser.Submit(r.open("?step=set&kind="+c.kind), c.kind, c.value, "pin", c.pin, "action", "set")
			if p.Status != http.StatusOK || p.Name != "account-contacts" || p.Problem != c.problem {
				t.Errorf("%s: status %d, page %q, problem %q", name, p.Status, p.Name, p.Problem)
			}
			r.says(p, c.says...)
			if c.pin != "" && strings.Contains(p.Body, `value="`+c.pin+`"`) {
				t.Errorf("%s: the PIN comes back", name)
			}
		}
		if r.Deliver(); len(r.Letters(contacts.ContactCode)) > 0 {
			t.Error("a code has left")
		}
	})
}

// R32: the PIN that is asked for again counts as at the sign-in.
func TestR32WrongPINsAtTheContactsWait(t *testing.T) {
	t.Parallel()
	reachables(t, func(t *testing.T, r *reachable) {
		form := r.open("?step=remove&kind=email")
		for range 9 {
			wantPage(t, r.browser.Submit(form, "pin", "00000000", "action", "remove"), "account-contacts", "form.invalid-field")
		}
		wantPage(t, r.browser.Submit(form, "pin", "00000000", "action", "remove"), "account-contacts", "login.waiting")
		wantPage(t, r.browser.Submit(form, "pin", r.pin, "action", "remove"), "account-contacts", "login.waiting")
		if r.under(citizens.Email) != nil {
			t.Error("a contact is being removed without the PIN")
		}
	})
}

// The link of the mail, opened in a browser where nobody is signed in.
func TestAContactIsProvedByTheMailsLink(t *testing.T) {
	t.Parallel()
	reachables(t, func(t *testing.T, r *reachable) {
		r.asks()
		_, link := r.letter()
		other := r.Browser()
		p := other.Get(link)
		wantPage(t, p, "account-contacts-confirm", "")
		r.says(p, "s***@n***.example")
		if c := r.under(citizens.Email); c == nil || c.State != contacts.Asked {
			t.Errorf("opening the link has changed something: %+v", c)
		}
		wantPage(t, other.Submit(p), "done", "")
		wantPage(t, other.Submit(p), "done", "") // pressed twice
		if c := r.under(citizens.Email); c == nil || c.State != contacts.Cooling {
			t.Errorf("the link has not proved the e-mail: %+v", c)
		}
		follow(t, r.browser, r.browser.Submit(r.open(""), "kind", "email", "action", "withdraw"))
		for _, p := range []logintest.Page{other.Get(link), other.Submit(p), other.Get("/account/contacts/confirm"), other.Get("/account/contacts/confirm?t=x")} {
			if p.Status != http.StatusGone || p.Problem != "link.dead" {
				t.Errorf("a dead link: status %d, problem %q", p.Status, p.Problem)
			}
		}
	})
}

func TestAContactIsRemovedAndKept(t *testing.T) {
	t.Parallel()
	reachables(t, func(t *testing.T, r *reachable) {
		p := r.open("?step=remove&kind=email")
		p = follow(t, r.browser, r.browser.Submit(p, "pin", r.pin, "action", "remove"))
		wantPage(t, p, "account-contacts", "")
		r.says(p, "Sta per essere tolto")
		if strings.Contains(p.Body, "step=remove&amp;kind=mobile") {
			t.Error("the last contact can be removed")
		}
		// sent all the same, it goes back to the list
		p = follow(t, r.browser, r.browser.Submit(p, "kind", "mobile", "pin", r.pin, "action", "remove"))
		if wantPage(t, p, "account-contacts", ""); r.under(citizens.Mobile) != nil {
			t.Error("the last contact is being removed")
		}
		p = follow(t, r.browser, r.browser.Submit(p, "kind", "email", "action", "withdraw"))
		wantPage(t, p, "account-contacts", "")
		if r.under(citizens.Email) != nil {
			t.Error("the removal goes on")
		}
	})
}

// Whoever types wrong codes to the end is told that the code is over.
func TestTheCodeOfAContactEnds(t *testing.T) {
	t.Parallel()
	reachables(t, func(t *testing.T, r *reachable) {
		form := r.asks()
		for range 4 {
			wantPage(t, r.browser.Submit(form, "code", "00000000", "action", "prove"), "account-contacts", "form.invalid-field")
		}
		p := r.browser.Submit(form, "code", "00000000", "action", "prove")
		wantPage(t, p, "account-contacts", "contacts.over")
		r.says(p, "scritto male troppe volte")
	})
}

// A PIN that is suspended while the form is open changes nothing.
func TestAContactNeedsALivePIN(t *testing.T) {
	t.Parallel()
	reachables(t, func(t *testing.T, r *reachable) {
		form := r.open("?step=set&kind=email")
		err := r.DB.InTx(t.Context(), func(ctx context.Context) error {
			return r.Credentials.Suspend(ctx, audit.Actor{Kind: audit.Operator, ID: "rita"}, r.FiscalCode(samantha), "a test")
		})
		must(t, true, err)
		p := follow(t, r.browser, r.browser.Submit(form, "email", newMail, "pin", r.pin, "action", "set"))
		wantPage(t, p, "login", "")
		if r.under(citizens.Email) != nil {
			t.Error("a contact was asked for with a PIN that is suspended")
		}
		st, err := r.Credentials.Status(t.Context(), r.FiscalCode(samantha))
		if must(t, st, err).State != credentials.Suspended {
			t.Errorf("the PIN is %s", st.State)
		}
	})
}
