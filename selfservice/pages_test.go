package selfservice_test

import (
	"bytes"
	"html"
	"image/png"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
	"ente.example/idp/login/logintest"
	"ente.example/idp/secrets"
	"ente.example/idp/selfservice"
	"ente.example/idp/throttle"
)

// node is a house with our pages, and the captchas behind them.
type node struct {
	*logintest.House
	captchas *throttle.Captchas
}

func newNode(t *testing.T, db *database.DB) node {
	t.Helper()
	h := logintest.New(t, db)
	ring, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	captchas, err := throttle.NewCaptchas(throttle.CaptchaDeps{DB: db, Key: ring.PRF(secrets.Throttle)})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := selfservice.New(selfservice.Deps{Interactions: h.Interactions, DB: h.DB, Sessions: h.Sessions, Citizens: h.Citizens, Clients: h.Clients, Credentials: h.Credentials, Captchas: captchas})
	if err != nil {
		t.Fatal(err)
	}
	pages.Mount(h.Echo)
	return node{h, captchas}
}

// build stands in for pages that are built elsewhere: a route is all that the
// pages of this test look at.
func (n node) build(paths ...string) {
	for _, path := range paths {
		found := false
		for _, r := range n.Echo.Routes() {
			found = found || r.Path == path && r.Method == http.MethodGet
		}
		if !found {
			n.Echo.GET(path, func(c echo.Context) error { return c.NoContent(http.StatusOK) })
		}
	}
}

func links(p logintest.Page) []string {
	var all []string
	for _, m := range regexp.MustCompile(`(?s)<main.*</main>`).FindAllString(p.Body, -1) {
		for _, l := range regexp.MustCompile(`<a [^>]*href="(/[^"]*)"`).FindAllStringSubmatch(m, -1) {
			all = append(all, l[1])
		}
	}
	return all
}

func has(all []string, one string) bool {
	return strings.Contains("\n"+strings.Join(all, "\n")+"\n", "\n"+one+"\n")
}

// R5: reachable with no service waiting; R60: the numbers and whether somebody
// answers; no link leads to what is not there.
func TestR5HomeOfThePIN(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := newNode(t, db)
		b := n.Browser()
		p := b.Get("/pin")
		if p.Status != http.StatusOK || p.Name != "pin-home" {
			t.Fatalf("status %d, page %q", p.Status, p.Name)
		}
		for _, want := range []string{`href="tel:800000000"`, `href="tel:+390600000000"`, `class="idp-open"`} {
			if !strings.Contains(html.UnescapeString(p.Body), want) {
				t.Errorf("R60: no %s", want)
			}
		}
		for _, link := range links(p) {
			if got := b.Get(link); got.Status != http.StatusOK && got.Status != http.StatusSeeOther {
				t.Errorf("link %s: status %d", link, got.Status)
			}
		}
		tasks := []string{"/pin/request", "/pin/recover", "/pin/revoke", "/account/pin", "/pin/track"}
		n.build(tasks...)
		for _, task := range tasks {
			if p := b.Get("/pin"); !has(links(p), task) {
				t.Errorf("no link to %s, which is built", task)
			}
		}
	})
}

// The guide, walked through with the forms as they are.
func TestGuideOnThePages(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := newNode(t, db)
		n.build("/pin/recover", "/pin/revoke")
		b := n.Browser()
		for _, c := range []struct {
			answers []string
			leads   string
		}{
			{[]string{"yes", "yes"}, "/pin/recover"},
			{[]string{"yes", "no", "yes"}, "/pin/revoke"},
			{[]string{"yes", "unsure", "no"}, ""},
			{[]string{"no", "yes"}, "/pin/revoke"},
			{[]string{"no", "no"}, ""},
			{[]string{"expired"}, ""},
			{[]string{"waiting"}, ""},
		} {
			p := b.Get("/pin/lost")
			for _, answer := range c.answers {
				if p.Name != "pin-lost" || !strings.Contains(p.Body, `name="answer" value="`+answer+`"`) {
					t.Fatalf("%v: page %q does not offer %s", c.answers, p.Name, answer)
				}
				p = b.Submit(p, "answer", answer)
				if p.Status != http.StatusSeeOther {
					t.Fatalf("%v: status %d after %s", c.answers, p.Status, answer)
				}
				p = b.Get(p.Location)
			}
			if strings.Contains(p.Body, "<form") {
				t.Errorf("%v: asks on", c.answers)
			}
			road := regexp.MustCompile(`<a class="btn btn-primary[^"]*" href="([^"]*)"`).FindStringSubmatch(p.Body)
			switch {
			case c.leads != "" && (road == nil || road[1] != c.leads):
				t.Errorf("%v leads to %v, want %s", c.answers, road, c.leads)
			case c.leads == "" && road != nil && !strings.HasPrefix(road[1], "tel:"):
				t.Errorf("%v leads to %s", c.answers, road[1])
			}
		}
	})
}

func TestGuideWithoutAnAnswer(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		b := newNode(t, db).Browser()
		for _, answer := range []string{"", "perhaps"} {
			p := b.Submit(b.Get("/pin/lost?used=yes"), "answer", answer)
			if p.Status != http.StatusOK || p.Problem != "form.invalid-field" {
				t.Errorf("answer %q: status %d, problem %q", answer, p.Status, p.Problem)
			}
			if !strings.Contains(p.Body, `name="used" value="yes"`) {
				t.Errorf("answer %q: what was said before is lost", answer)
			}
		}
	})
}

// A road whose page is not built is a road by telephone.
func TestGuideLeadsToWhatIsBuilt(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := newNode(t, db)
		b := n.Browser()
		for _, c := range []struct{ query, page string }{
			{"used=yes&contacts=yes", "/pin/recover"}, {"used=no&card=yes", "/pin/revoke"},
		} {
			before := b.Get("/pin/lost?" + c.query)
			if !has(links(before), c.page) && !strings.Contains(before.Body, `btn-lg" href="tel:`) {
				t.Errorf("%s leads nowhere", c.query)
			}
			for _, link := range links(before) {
				if got := b.Get(link); got.Status != http.StatusOK {
					t.Errorf("%s: link %s answers %d", c.query, link, got.Status)
				}
			}
			n.build(c.page)
			if after := b.Get("/pin/lost?" + c.query); !has(links(after), c.page) {
				t.Errorf("%s does not lead to %s", c.query, c.page)
			}
		}
	})
}

// R5: whoever leaves a sign-in for these pages finds the way back to it.
func TestR5BackToTheSignIn(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := newNode(t, db)
		b := n.Browser()
		i := b.Begin(n.Client(clients.Document{}).ID, login.Request{})
		entry := b.Get("/login/" + i.ID)
		for _, page := range []string{"/pin", "/pin/lost"} {
			if link := page + "?sign_in=" + i.ID; !has(links(entry), link) {
				t.Fatalf("the sign-in has no link %s, only %v", link, links(entry))
			}
		}
		p := b.Get("/pin?sign_in=" + i.ID)
		if !has(links(p), i.ResumeURL()) || !strings.Contains(p.Body, "Estratto conto") {
			t.Error("the page about the PIN has lost the sign-in")
		}
		p = b.Submit(b.Get("/pin/lost?sign_in="+i.ID), "answer", "expired")
		if p = b.Get(p.Location); !has(links(p), i.ResumeURL()) {
			t.Error("the guide has lost the sign-in")
		}

		other := n.Browser()
		for _, path := range []string{"/pin?sign_in=" + i.ID, "/pin/lost?used=expired&sign_in=" + i.ID, "/pin?sign_in=" + url.QueryEscape(`"><script>`)} {
			if p := other.Get(path); p.Status != http.StatusOK || strings.Contains(p.Body, "Estratto conto") || has(links(p), i.ResumeURL()) {
				t.Errorf("%s in another browser: status %d, or it shows the sign-in", path, p.Status)
			}
		}
	})
}

// GET changes nothing, whatever it carries; other verbs have no page.
func TestGuideOnlyReads(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		b := newNode(t, db).Browser()
		count := databasetest.Count(t, db)
		for _, path := range []string{"/pin", "/pin/lost", "/pin/lost?used=no&card=yes&answer=yes"} {
			b.Get(path)
		}
		if n := count.Commits(); n != 0 {
			t.Errorf("%d commits", n)
		}
		for _, s := range count.Statements() {
			if !strings.HasPrefix(strings.ToUpper(strings.TrimSpace(s)), "SELECT") {
				t.Errorf("statement %s", s)
			}
		}
	})
}

// R54: picture and sound of a captcha, for the browser that was asked.
func TestR54CaptchaFiles(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := newNode(t, db)
		b := n.Browser()
		id, err := n.captchas.Make(t.Context(), "recover", b.Cookie("idp"))
		if err != nil {
			t.Fatal(err)
		}
		picture := b.Get("/captcha/" + id + ".png")
		if _, err := png.Decode(bytes.NewReader([]byte(picture.Body))); err != nil || picture.Header.Get("Content-Type") != "image/png" {
			t.Errorf("picture: status %d, type %s, %v", picture.Status, picture.Header.Get("Content-Type"), err)
		}
		sound := map[string]string{}
		for _, query := range []string{"?lang=it", "?lang=en", "", "?lang=xx"} {
			p := b.Get("/captcha/" + id + ".wav" + query)
			if p.Status != http.StatusOK || p.Header.Get("Content-Type") != "audio/wav" || !strings.HasPrefix(p.Body, "RIFF") {
				t.Errorf("sound %s: status %d, type %s", query, p.Status, p.Header.Get("Content-Type"))
			}
			sound[query] = p.Body
		}
		if sound["?lang=it"] == sound["?lang=en"] || sound[""] != sound["?lang=it"] || sound["?lang=xx"] != sound["?lang=it"] {
			t.Error("the sound does not follow the language")
		}
		for who, page := range map[string]logintest.Page{
			"another browser": n.Browser().Get("/captcha/" + id + ".png"),
			"another ending":  b.Get("/captcha/" + id + ".gif"),
			"no challenge":    b.Get("/captcha/none.wav"),
		} {
			if page.Status != http.StatusNotFound {
				t.Errorf("%s: status %d, want 404", who, page.Status)
			}
		}
	})
}

// Players fetch sounds in pieces.
func TestR54CaptchaSoundInPieces(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := newNode(t, db)
		b := n.Browser()
		id, err := n.captchas.Make(t.Context(), "recover", b.Cookie("idp"))
		if err != nil {
			t.Fatal(err)
		}
		whole := b.Get("/captcha/" + id + ".wav?lang=it").Body
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.Issuer()+"/captcha/"+id+".wav?lang=it", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Range", "bytes=1000-1999")
		r.AddCookie(&http.Cookie{Name: "idp", Value: b.Cookie("idp")})
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		var part bytes.Buffer
		if _, err := part.ReadFrom(answer.Body); err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusPartialContent || part.String() != whole[1000:2000] {
			t.Errorf("status %d, %d bytes that are not the middle of the whole", answer.StatusCode, part.Len())
		}
	})
}
