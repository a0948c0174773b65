package selfservice_test

import (
	"context"
	"html"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery"
	"ente.example/idp/enrolment"
	"ente.example/idp/login/logintest"
	"ente.example/idp/secrets"
	"ente.example/idp/selfservice"
	"ente.example/idp/templates"
	"ente.example/idp/throttle"
)

// office is a house where PINs can be asked for, and everybody's letter box.
type office struct {
	*logintest.House
	t        *testing.T
	pins     *credentials.Service
	requests *enrolment.Requests
	outbox   *delivery.Outbox

	mu      sync.Mutex
	letters []delivery.Letter
}

// Send makes it every transport.
func (o *office) Send(_ context.Context, l delivery.Letter) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.letters = append(o.letters, l)
	return nil
}

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func newOffice(t *testing.T, db *database.DB, options ...func(*selfservice.Deps)) *office {
	t.Helper()
	o := &office{House: logintest.New(t, db), t: t}
	ring, err := secrets.New()
	must(t, ring, err)
	words, err := templates.New(templates.Options{})
	must(t, words, err)
	senders := map[delivery.Channel]delivery.Sender{}
	for _, c := range delivery.Channels() {
		senders[c] = o
	}
	o.outbox, err = delivery.New(delivery.Deps{
		DB: db, Seal: ring.Seal, Open: ring.Open, Audit: o.Audit, Policy: delivery.DefaultPolicy(), Words: words.Mail, Senders: senders,
		Accepted: func(ctx context.Context, r delivery.Receipt) error {
			if err := o.pins.Accepted(ctx, r); err != nil {
				return err
			}
			return o.requests.Accepted(ctx, r)
		},
		Failed: func(context.Context, delivery.Receipt) error { return nil },
	})
	must(t, o.outbox, err)
	guard, err := throttle.New(throttle.Deps{DB: db, Key: ring.PRF(secrets.Throttle), Policy: throttle.DefaultPolicy()})
	must(t, guard, err)
	hasher, err := credentials.NewHasher(credentials.HasherDeps{DB: db, Cost: credentials.Cost{Memory: 8, Passes: 1, Threads: 1}})
	must(t, hasher, err)
	o.pins, err = credentials.New(credentials.Deps{
		DB: db, Citizens: o.Citizens, Throttle: guard, Outbox: o.outbox, Audit: o.Audit, Hasher: hasher,
		Pepper: ring.PRF(secrets.PINPepper), Wrap: ring.AEAD(secrets.PINWrap), Candidates: ring.AEAD(secrets.CandidateSeal),
		Policy: credentials.DefaultPolicy(), Eligibility: citizens.Open,
		Ended: func(context.Context, citizens.ID, credentials.Reason) error { return nil },
		FirstAccess: func(ctx context.Context, id citizens.ID, pin credentials.ID) error {
			return o.requests.FirstAccess(ctx, id, pin)
		},
	})
	must(t, o.pins, err)
	o.requests, err = enrolment.New(enrolment.Deps{
		DB: db, Citizens: o.Citizens, Outbox: o.outbox, Audit: o.Audit, Pins: o.pins,
		Seal: ring.AEAD(secrets.RequestsSeal), Index: ring.PRF(secrets.RequestsIndex),
	})
	must(t, o.requests, err)
	deps := selfservice.Deps{
		DB: o.DB, Sessions: o.Sessions, Citizens: o.Citizens,
		Interactions: o.Interactions, Clients: o.Clients, Credentials: o.pins, Requests: o.requests,
	}
	for _, with := range options {
		with(&deps)
	}
	pages, err := selfservice.New(deps)
	must(t, pages, err)
	pages.Mount(o.Echo)
	return o
}

// post brings everything that waits: what the worker makes, and what leaves.
func (o *office) post() {
	o.t.Helper()
	for range 3 {
		if err := o.requests.Work(o.t.Context()); err != nil {
			o.t.Fatal(err)
		}
		if err := o.outbox.Flush(o.t.Context()); err != nil {
			o.t.Fatal(err)
		}
	}
}

func (o *office) letter(key delivery.MessageKey) delivery.Letter {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := len(o.letters) - 1; i >= 0; i-- {
		if o.letters[i].Key == key {
			return o.letters[i]
		}
	}
	o.t.Fatalf("no %s was sent", key)
	return delivery.Letter{}
}

var alone = regexp.MustCompile(`(?m)^[0-9]{8}$`)

const stranger = "RSSMRA80A01H50MM" // somebody whom nobody here knows

// anna is what the person of logintest's registry types: the house of the
// archive, written otherwise.
func annaTypes() map[string]string {
	return map[string]string{
		"fiscal_code": logintest.Anna, "given_name": "Anna Maria", "family_name": "Bianchi", "sex": "F", "birth_date": "15/06/1972",
		"birth_place": "Napoli", "residence_street": "v. roma, n. 1", "residence_postal_code": "80100", "residence_locality": "NAPOLI",
		"residence_country": "IT", "phone": "081 5551234", "call_slot": "morning", "email": "anna.b@posta.example",
		"mobile": "+39 340 1234567", "first_half_channel": "sms", "accept_terms": "yes",
	}
}

var formFields = regexp.MustCompile(`<(?:input|select)[^>]* name="([a-z_]+)"`)

// fill types what the page asks for and presses the first button.
func fill(b *logintest.Browser, p logintest.Page, typed map[string]string, extra ...string) logintest.Page {
	var fields []string
	for _, m := range formFields.FindAllStringSubmatch(p.Body, -1) {
		if text, ok := typed[m[1]]; ok {
			fields = append(fields, m[1], text)
		}
	}
	return b.Submit(p, append(fields, extra...)...)
}

// walk goes from the first page to the answer.
func walk(t *testing.T, b *logintest.Browser, typed map[string]string) logintest.Page {
	t.Helper()
	p := b.Get("/pin/request")
	for range 6 {
		if p.Name != "pin-request" {
			return p
		}
		if p.Problem != "" && p.Problem != "request.check-data" {
			t.Fatalf("refused: %s\n%s", p.Problem, regexp.MustCompile(`(?s)<div class="idp-summary.*?</div>`).FindString(p.Body))
		}
		p = fill(b, p, typed)
	}
	t.Fatalf("still on %s", p.Name)
	return p
}

var trackingOutput = regexp.MustCompile(`(?s)<output [^>]*id="tracking-code"[^>]*>(.*?)</output>`)

func tracking(t *testing.T, p logintest.Page) string {
	t.Helper()
	m := trackingOutput.FindStringSubmatch(p.Body)
	if m == nil {
		t.Fatalf("no tracking code on %s", p.Name)
	}
	return regexp.MustCompile(`<[^>]*>`).ReplaceAllString(m[1], "")
}

// R10–R25: from the first page to the first sign-in, the halves read where they
// arrive, with every step a plain form.
func TestR10FromTheFirstPageToTheFirstSignIn(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		o := newOffice(t, db)
		b := o.Browser()
		p := walk(t, b, annaTypes())
		if p.Name != "neutral" || p.Status != http.StatusOK {
			t.Fatalf("page %q, status %d", p.Name, p.Status)
		}
		code := tracking(t, p)
		o.post()
		sent := o.letter(enrolment.ContactCode)
		if sent.Channel != delivery.SMS || sent.To.Reveal() != "+393401234567" {
			t.Errorf("the code went by %s", sent.Channel)
		}
		p = b.Get("/pin/request/confirm")
		if p = b.Submit(p, "tracking_code", code, "code", "00000000"); p.Problem != "code.wrong" {
			t.Errorf("a wrong code: page %q, problem %q", p.Name, p.Problem)
		}
		p = b.Submit(p, "tracking_code", code, "code", alone.FindString(sent.Body.Reveal()))
		if p.Name != "done" {
			t.Fatalf("page %q, problem %q", p.Name, p.Problem)
		}
		o.post()
		half1, half2 := o.letter(delivery.PINHalf1), o.letter(delivery.PINHalf2)
		if half1.Channel != delivery.SMS || half2.Channel != delivery.Post || !strings.HasPrefix(half2.To.Reveal(), "Via Roma 1") {
			t.Errorf("halves by %s and %s", half1.Channel, half2.Channel)
		}
		p = b.Submit(b.Get("/pin/track"), "tracking_code", strings.ToLower(code), "fiscal_code", logintest.Anna)
		if !strings.Contains(p.Body, `data-state="part-2"`) {
			t.Errorf("the status page says %q", regexp.MustCompile(`data-state="[^"]*"`).FindString(p.Body))
		}
		o.signsIn(alone.FindString(half1.Body.Reveal()) + alone.FindString(half2.Body.Reveal()))
		p = b.Submit(b.Get("/pin/track"), "tracking_code", code, "fiscal_code", logintest.Anna)
		if !strings.Contains(p.Body, `data-state="done"`) {
			t.Error("the request is not complete after the first access")
		}
	})
}

// signsIn is Anna's first access.
func (o *office) signsIn(sixteen string) {
	o.t.Helper()
	ctx, by := o.t.Context(), audit.Actor{Kind: audit.Anonymous}
	first, err := credentials.ParsePIN(sixteen)
	must(o.t, first, err)
	v, err := o.pins.Verify(ctx, by, o.FiscalCode(logintest.Anna), first)
	must(o.t, v, err)
	if !v.MustChange {
		o.t.Error("R23: the first PIN opens more than its change")
	}
	id, err := o.pins.StartChange(ctx, by, v)
	must(o.t, id, err)
	change, err := o.pins.Change(ctx, id)
	must(o.t, change, err)
	_, err = o.pins.Confirm(ctx, by, id, first, change.Candidate)
	must(o.t, v, err)
}

// R19, §5.3: known, unknown, with a PIN, with a request open, with another
// address: the same answer, to the byte but for the codes in it.
func TestR19SameAnswerForEverybody(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		o := newOffice(t, db)
		if err := o.pins.Issue(t.Context(), audit.Actor{Kind: audit.Operator}, o.FiscalCode(logintest.Mario), credentials.Ordinario); err != nil {
			t.Fatal(err)
		}
		first := walk(t, o.Browser(), annaTypes())
		mask := regexp.MustCompile(`(?s)<output [^>]*id="tracking-code".*?</output>|name="form_token" value="[^"]*"`)
		want := mask.ReplaceAllString(first.Body, "-")
		for name, change := range map[string]func(map[string]string){
			"a request is open": func(map[string]string) {},
			"unknown":           func(m map[string]string) { m["fiscal_code"], m["given_name"] = stranger, "Lucia" },
			"has a PIN":         func(m map[string]string) { m["fiscal_code"], m["given_name"], m["sex"] = logintest.Mario, "Mario", "M" },
			"another address":   func(m map[string]string) { m["residence_street"] = "Via Milano 4" },
		} {
			typed := annaTypes()
			change(typed)
			p := walk(t, o.Browser(), typed)
			if p.Status != first.Status || len(p.Body) != len(first.Body) || mask.ReplaceAllString(p.Body, "-") != want {
				t.Errorf("%s: another answer (status %d, %d bytes for %d)", name, p.Status, len(p.Body), len(first.Body))
			}
		}
	})
}

// R19: pressing twice is one request, with one answer.
func TestR19PressedTwice(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		o := newOffice(t, db)
		b := o.Browser()
		p := b.Get("/pin/request")
		for !strings.Contains(p.Body, `name="accept_terms"`) {
			p = fill(b, p, annaTypes())
		}
		answers := make([]logintest.Page, 2)
		for i := range answers {
			answers[i] = fill(b, p, annaTypes())
		}
		if a, z := tracking(t, answers[0]), tracking(t, answers[1]); a != z {
			t.Errorf("two tracking codes: %s and %s", a, z)
		}
		var n int
		if err := db.Read(t.Context()).Raw("SELECT count(*) FROM enrolments").Row().Scan(&n); err != nil || n != 1 {
			t.Errorf("%d requests, want 1 (%v)", n, err)
		}
	})
}

// R16: a refusal names field, reason and example, and what was typed is still
// there; nothing is written before the request is sent.
func TestR16Mistakes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		o := newOffice(t, db)
		for _, c := range []struct{ field, text, says string }{
			{"fiscal_code", "12345670017", "16 caratteri"}, {"fiscal_code", "RSSMRA80A01H501A", "per esempio RSSMRA80A01H501U"}, {"given_name", "", "per esempio Mario"},
			{"birth_date", "31/02/1980", "per esempio 01/01/1980"}, {"birth_date", "01/01/2020", "sportello"}, {"birth_place", "Atlantide", "per esempio Roma"},
			{"residence_country", "", "per esempio Germania"}, {"residence_postal_code", "801", "per esempio 00184"}, {"phone", "12", "prefisso"},
			{"mobile", "+390815551234", "SMS"}, {"email", "anna", "nome@posta.example"}, {"first_half_channel", "pec", "per esempio nome@pec.example"},
			{"accept_terms", "", "metti il segno"},
		} {
			typed := annaTypes()
			typed[c.field] = c.text
			b := o.Browser()
			p := b.Get("/pin/request")
			for p.Name == "pin-request" && p.Problem == "" {
				p = fill(b, p, typed)
			}
			if p.Problem != "form.invalid-field" || !strings.Contains(p.Body, c.says) {
				t.Errorf("%s %q: page %q, problem %q", c.field, c.text, p.Name, p.Problem)
			}
			if c.text != "" && c.field != "first_half_channel" && !strings.Contains(html.UnescapeString(p.Body), `value="`+c.text+`"`) {
				t.Errorf("%s: what was typed is gone", c.field)
			}
			if !strings.Contains(p.Body, `href="tel:`) {
				t.Errorf("%s: no telephone", c.field)
			}
		}
		var n int
		if err := db.Read(t.Context()).Raw("SELECT count(*) FROM enrolments").Row().Scan(&n); err != nil || n != 0 {
			t.Errorf("%d requests were kept (%v)", n, err)
		}
	})
}

// §3.7: data that do not fit the codice fiscale are asked about once, then
// taken. Back and forth keeps everything.
func TestDataAreCheckedOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		o := newOffice(t, db)
		b := o.Browser()
		typed := annaTypes()
		typed["given_name"] = "Giovanna"
		p := fill(b, b.Get("/pin/request"), typed)
		if p.Problem != "request.check-data" {
			t.Fatalf("problem %q", p.Problem)
		}
		p = fill(b, p, typed)
		if !strings.Contains(p.Body, `name="residence_street"`) {
			t.Fatal("asked twice")
		}
		p = b.Submit(fill(b, p, typed), "action", "back")
		for _, want := range []string{`value="v. roma, n. 1"`, `name="given_name" value="Giovanna"`} {
			if !strings.Contains(p.Body, want) {
				t.Errorf("back: no %s", want)
			}
		}
		for p.Name == "pin-request" {
			p = fill(b, p, typed)
		}
		code := tracking(t, p)
		o.post()
		b.Submit(b.Get("/pin/request/confirm"), "tracking_code", code, "code", alone.FindString(o.letter(enrolment.ContactCode).Body.Reveal()))
		o.post()
		calls, err := o.requests.Calls().List(t.Context())
		if err != nil || len(calls) != 1 || calls[0].Reasons[0] != "data differ from the codice fiscale" {
			t.Errorf("calls %v, %v", calls, err)
		}
	})
}

// R54: without its captcha no request is kept, whatever else is right.
func TestR54CaptchaBeforeTheRequest(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ring, err := secrets.New()
		key := must(t, ring, err).PRF(secrets.Throttle)
		captchas, err := throttle.NewCaptchas(throttle.CaptchaDeps{DB: db, Key: key})
		must(t, captchas, err)
		o := newOffice(t, db, func(d *selfservice.Deps) { d.Captchas = captchas })
		b := o.Browser()
		p := b.Get("/pin/request")
		for !strings.Contains(p.Body, `name="accept_terms"`) {
			p = fill(b, p, annaTypes())
		}
		for typed, problem := range map[string]string{"": "form.invalid-field", "AAAAAAA": "captcha.wrong"} {
			if p = fill(b, p, annaTypes(), "captcha", typed); p.Problem != problem {
				t.Errorf("captcha %q: page %q, problem %q", typed, p.Name, p.Problem)
			}
		}
		var n int
		if err := db.Read(t.Context()).Raw("SELECT count(*) FROM enrolments").Row().Scan(&n); err != nil || n != 0 {
			t.Errorf("%d requests were kept without a captcha (%v)", n, err)
		}
		found := captchaID.FindStringSubmatch(p.Body)
		if found == nil {
			t.Fatal("no captcha on the page")
		}
		answer, err := throttle.SolveCaptcha(key, found[1])
		if p = fill(b, p, annaTypes(), "captcha", must(t, answer, err)); p.Name != "neutral" {
			t.Errorf("with the captcha: page %q, problem %q", p.Name, p.Problem)
		}
	})
}

// R20: whoever asks about a request that is not his learns nothing.
func TestR20TrackIsUniform(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		o := newOffice(t, db)
		b := o.Browser()
		code := tracking(t, walk(t, b, annaTypes()))
		page := b.Get("/pin/track")
		first := b.Submit(page, "tracking_code", code, "fiscal_code", logintest.Mario)
		if first.Problem != "track.unknown" {
			t.Fatalf("problem %q", first.Problem)
		}
		for _, c := range [][2]string{{"AAAA-BBBB-CCCC", logintest.Anna}, {"AAAA-BBBB-CCCC", stranger}, {code, stranger}} {
			p := b.Submit(page, "tracking_code", c[0], "fiscal_code", c[1], "action", "not-arrived")
			if p.Problem != "track.unknown" || len(p.Body) != len(first.Body) {
				t.Errorf("%v: problem %q, %d bytes for %d", c, p.Problem, len(p.Body), len(first.Body))
			}
		}
	})
}

// Every country of the list is one that the form takes.
func TestEveryCountryOfTheList(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		o := newOffice(t, db)
		b := o.Browser()
		p := fill(b, b.Get("/pin/request"), annaTypes())
		list := regexp.MustCompile(`<option value="([A-Z]{2})"`).FindAllStringSubmatch(p.Body, -1)
		if len(list) < 240 {
			t.Errorf("%d countries", len(list))
		}
		for _, m := range list {
			if _, err := citizens.ParseCountry(m[1]); err != nil {
				t.Errorf("%s: %v", m[1], err)
			}
		}
	})
}
