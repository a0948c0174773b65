package provider

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
	"ente.example/idp/provider/keys"
)

// device is a service that runs where there is no browser, and the browser of
// its citizen.
type device struct {
	*service
	code, user string
}

const deviceGrants = `"grant_types": ["authorization_code", "refresh_token", "` + clients.GrantDeviceCode + `"]`

// device registers a client with the device grant; document has further members.
func (h *house) device(document string) *device {
	h.t.Helper()
	if document != "" {
		document = ", " + document
	}
	return &device{service: h.service("{" + deviceGrants + document + "}")}
}

// asks posts to the device authorization endpoint.
func (d *device) asks(pairs ...string) answer {
	d.t.Helper()
	return d.do(d.asksRequest(pairs...))
}

func (d *device) asksRequest(pairs ...string) *http.Request {
	v := []string{"scope", "openid offline_access", "nonce", "a nonce"}
	r := d.tokenRequest(append(v, pairs...)...)
	r.URL.Path = deviceAuthorizationPath
	return r
}

// begin asks for codes and keeps them.
func (d *device) begin(pairs ...string) {
	d.t.Helper()
	got := d.asks(pairs...).ok(d.t)
	d.code, _ = got["device_code"].(string)
	d.user, _ = got["user_code"].(string)
}

// poll asks for tokens.
func (d *device) poll() answer {
	d.t.Helper()
	return d.token("grant_type", clients.GrantDeviceCode, "device_code", d.code)
}

var formToken = regexp.MustCompile(`name="form_token" value="([^"]*)"`)

// types posts the form of /device.
func (d *device) types(pairs ...string) answer {
	d.t.Helper()
	page := d.with(d.browser, d.get(devicePath, ""))
	m := formToken.FindStringSubmatch(page.body)
	if m == nil {
		d.t.Fatalf("no form on %d %s", page.StatusCode, page.body)
	}
	r := d.post(devicePath, append(pairs, "form_token", m[1])...)
	r.Header.Set("Origin", d.issuer)
	return d.with(d.browser, r)
}

// allow has the citizen of the browser type the code and say yes.
func (d *device) allow() answer {
	d.t.Helper()
	return d.follow(d.types("user_code", d.user, "action", "continue"))
}

// wantPage compares data-page and, unless empty, data-problem.
func wantPage(t testing.TB, a answer, page, problem string) {
	t.Helper()
	if !strings.Contains(a.body, `data-page="`+page+`"`) || problem != "" && !strings.Contains(a.body, `data-problem="`+problem+`"`) {
		t.Fatalf("%d %q, want the page %s %s\n%s", a.StatusCode, a.Header.Get("Location"), page, problem, a.body)
	}
}

const (
	pending  = "Bad Request authorization_pending"
	slowDown = "Bad Request slow_down"
)

// RFC 8628 from the first request to the tokens, for a client with a secret
// and for one without.
func TestDeviceFlow(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		citizen := h.people()
		for _, d := range []*device{h.device(""), h.device(`"token_endpoint_auth_method": "none", "redirect_uris": [], "response_types": [],
			"scope": "openid offline_access", "grant_types": ["refresh_token", "` + clients.GrantDeviceCode + `"]`)} {
			session := d.signIn(citizen)
			got := d.asks().ok(t)
			d.code, d.user = got["device_code"].(string), got["user_code"].(string)
			if got["verification_uri"] != issuer+"/device" || got["verification_uri_complete"] != issuer+"/device?user_code="+d.user ||
				got["expires_in"] != 600.0 || got["interval"] != 5.0 || !regexp.MustCompile(`^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$`).MatchString(d.user) {
				t.Fatalf("answer = %v", got)
			}
			wantRefusal(t, "before the citizen came", d.poll(), pending)

			filled := d.with(d.browser, d.get("/device?user_code="+d.user, ""))
			wantPage(t, filled, "device", "")
			if !strings.Contains(filled.body, `value="`+d.user+`"`) {
				t.Error("the code of the address is not filled in")
			}
			confirm := d.types("user_code", strings.ToLower(strings.ReplaceAll(d.user, "-", " ")))
			wantPage(t, confirm, "device-confirm", "")
			if !strings.Contains(confirm.body, d.client.Name()) || !strings.Contains(confirm.body, d.user) {
				t.Error("the page names no service, or not the code")
			}
			wantPage(t, d.allow(), "device-done", "")

			tokens := d.poll().ok(t)
			_, access := payload(t, tokens["access_token"])
			if access["sub"] != h.provider.subject(d.client, citizen) || access["sid"] != string(session.ID) || access["client_id"] != d.client.ID {
				t.Errorf("access token = %v", access)
			}
			if id := d.verifyID(tokens["id_token"].(string), keys.RS256); id.Nonce != "a nonce" || id.VerifyAccessToken(tokens["access_token"].(string)) != nil {
				t.Errorf("ID token: nonce %q, at_hash %q", id.Nonce, id.AccessTokenHash)
			}
			if tokens["token_type"] != "Bearer" || tokens["expires_in"] != 600.0 || tokens["scope"] != "openid offline_access" {
				t.Errorf("answer = %v", tokens)
			}
			renewed := d.refresh(tokens["refresh_token"].(string)).ok(t)
			if !d.alive(renewed["access_token"]) {
				t.Error("a refreshed token is dead")
			}
			wantPage(t, d.types("user_code", d.user), "device", "code.wrong")
			wantRefusal(t, "the device code again", d.poll(), badGrant)
			if d.alive(renewed["access_token"]) {
				t.Error("a replay ended nothing")
			}
		}
	})
}

// Who is not signed in signs in; who is asked for consent is asked; both ways
// of saying no reach the device.
func TestDeviceGoesTheWayOfEveryRequest(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		citizen := h.people()
		d := h.device(`"consent": "always"`)
		d.begin()
		resumed := d.types("user_code", d.user, "action", "continue")
		i := d.interaction(resumed)
		d.leadsTo(d.follow(resumed), i, "/login/{id}")

		d.signIn(citizen)
		resumed = d.types("user_code", d.user, "action", "continue")
		i = d.interaction(resumed)
		d.leadsTo(d.follow(resumed), i, "/consent/{id}")
		d.answer(i, false, false)
		wantPage(t, d.follow(resumed), "device-done", "")
		wantRefusal(t, "after a no on the consent page", d.poll(), "Bad Request access_denied")

		d.begin()
		wantPage(t, d.types("user_code", d.user, "action", "deny"), "device-done", "")
		wantRefusal(t, "after a no on the first page", d.poll(), "Bad Request access_denied")
		wantPage(t, d.types("user_code", d.user, "action", "continue"), "device", "code.wrong")

		d.begin()
		i = d.interaction(d.types("user_code", d.user, "action", "continue"))
		wantPage(t, d.with(d.browser, d.get(i.CancelURL(), "")), "device-done", "")
		wantRefusal(t, "after giving up", d.poll(), "Bad Request access_denied")
		if n := events(t, db, audit.DeviceDenied); n != 3 {
			t.Errorf("%d records of a no, want 3", n)
		}

		d.begin()
		resumed = d.types("user_code", d.user, "action", "continue")
		d.answer(d.interaction(resumed), true, false)
		wantPage(t, d.follow(resumed), "device-done", "")
		if err := h.provider.RevokeCitizen(t.Context(), citizen, "suspended"); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, "after a suspension", d.poll(), badGrant)
	})
}

// A device code lives ten minutes by the database's clock, for both sides.
func TestDeviceCodeExpires(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		d := h.device("")
		citizen := h.people()
		d.begin()
		late := *d
		late.begin()
		databasetest.Shift(t, db, 9*time.Minute+50*time.Second)
		d.signIn(citizen)
		late.browser = d.browser
		wantPage(t, late.allow(), "device-done", "")
		begun := d.types("user_code", d.user, "action", "continue")
		databasetest.Shift(t, db, 11*time.Second)
		wantRefusal(t, "too late to be typed", d.poll(), "Bad Request expired_token")
		wantRefusal(t, "too late to be fetched", late.poll(), "Bad Request expired_token")
		over := d.follow(begun)
		wantPage(t, over, "device-done", "")
		if h.grants() != 1 || !strings.Contains(over.body, `href="/device"`) {
			t.Errorf("%d grants; the page offers no new code: %s", h.grants(), over.body)
		}
		wantPage(t, d.types("user_code", d.user), "device", "code.wrong")
		databasetest.Shift(t, db, 3*time.Hour)
		if _, err := h.provider.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, "after the sweep", d.poll(), badGrant)
		if n := count(t, db, "devices"); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}

func count(t testing.TB, db *database.DB, table string) (n int) {
	t.Helper()
	if err := db.Read(t.Context()).Raw("SELECT count(*) FROM " + table).Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

// A device that asks too often waits five seconds longer each time.
func TestDeviceSlowsDown(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		d := h.device("")
		d.begin()
		for _, step := range []struct {
			after time.Duration
			want  string
		}{
			{0, pending}, {5100 * time.Millisecond, pending}, {time.Second, slowDown}, {6 * time.Second, slowDown},
			{12 * time.Second, slowDown}, {21 * time.Second, pending}, {19 * time.Second, slowDown},
		} {
			databasetest.Shift(t, db, step.after)
			wantRefusal(t, fmt.Sprintf("after %s", step.after), d.poll(), step.want)
		}
	})
}

// However many polls arrive at once, at two nodes, one is in time; and of the
// redemptions of an approved code one is served, after which the family is dead.
func TestDeviceRaces(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		h := newInstallation(t, a)
		d := h.device("")
		d.signIn(h.people())
		d.begin()
		other := *d
		other.service = d.at(h.another(b))
		nodes := []*device{d, &other}
		const crowd = 40
		var early, inTime atomic.Int64
		databasetest.Barrier(crowd, func(i int) {
			switch got := nodes[i%2].poll().refusal(t); got {
			case pending:
				inTime.Add(1)
			case slowDown:
				early.Add(1)
			default:
				t.Errorf("poll: %s", got)
			}
		})
		if inTime.Load() != 1 || early.Load() != crowd-1 {
			t.Errorf("%d in time and %d too early, want 1 and %d", inTime.Load(), early.Load(), crowd-1)
		}

		wantPage(t, d.allow(), "device-done", "")
		var won, lost atomic.Int64
		databasetest.Barrier(crowd, func(i int) {
			got := nodes[i%2].poll()
			switch {
			case got.StatusCode == http.StatusOK:
				won.Add(1)
			case got.refusal(t) == badGrant:
				lost.Add(1)
			}
		})
		if won.Load() != 1 || lost.Load() != crowd-1 {
			t.Errorf("won %d, lost %d, want 1 and %d", won.Load(), lost.Load(), crowd-1)
		}
		if n := events(t, a, audit.ReuseDetected); n != 1 {
			t.Errorf("%d records of the replay, want 1", n)
		}
	})
}

// Two browsers that answer the same request at once, one yes and one no: one of
// them is heard, and the device gets that one's answer.
func TestDeviceIsAnsweredOnce(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		h := newInstallation(t, a)
		citizen := h.people()
		d := h.device("")
		other := *d
		other.service = d.at(h.another(b))
		d.signIn(citizen)
		other.browser = other.house.browser()
		for range 5 {
			d.begin()
			other.user = d.user
			begun := d.types("user_code", d.user, "action", "continue")
			other.types("user_code", d.user) // so that the cookie is there
			answers := make([]answer, 2)
			databasetest.Barrier(2, func(i int) {
				if i == 0 {
					answers[0] = d.follow(begun)
				} else {
					answers[1] = other.types("user_code", d.user, "action", "deny")
				}
			})
			got := d.poll()
			allowed := strings.Contains(answers[0].body, "torna al dispositivo") || strings.Contains(answers[0].body, "go back to the device")
			if allowed != (got.StatusCode == http.StatusOK) {
				t.Errorf("the citizen was told %t, the device %d %s", allowed, got.StatusCode, got.body)
			}
			if !allowed && got.refusal(t) != "Bad Request access_denied" {
				t.Errorf("the device was told %s", got.body)
			}
		}
	})
}

// What a device's request may not be.
func TestDeviceRequests(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		d, plain := h.device(""), &device{service: h.service("")}
		forger := *d.service
		forger.secret = "wrong"
		thief := &device{service: &forger}
		wantRefusal(t, "no client", thief.asks(), badClient)
		wantRefusal(t, "not its grant", plain.asks(), "Bad Request unauthorized_client")
		plain.code = "x"
		wantRefusal(t, "not its grant at /token", plain.poll(), "Bad Request unauthorized_client")
		for _, bad := range []struct{ name, value, want string }{
			{"resource", "https://nobody.example", "invalid_target"}, {"max_age", "soon", "invalid_request"},
			{"dpop_jkt", "short", "invalid_request"}, {"claims", `{}`, "invalid_request"}, {"request", "x", "invalid_request"},
			{"prompt", "none", "invalid_request"},
		} {
			wantRefusal(t, bad.name, d.asks(bad.name, bad.value), "Bad Request "+bad.want)
		}
		r := d.tokenRequest("scope", "openid admin")
		r.URL.Path = deviceAuthorizationPath
		wantRefusal(t, "a scope that does not exist", d.do(r), "Bad Request invalid_scope")
		wantRefusal(t, "no code", d.token("grant_type", clients.GrantDeviceCode), "Bad Request invalid_request")

		d.begin()
		stranger := h.device("")
		stranger.code = d.code
		wantRefusal(t, "another client's code", stranger.poll(), badGrant)
		d.signIn(h.people())
		wantPage(t, d.allow(), "device-done", "")
		wantRefusal(t, "another client's approved code", stranger.poll(), badGrant)
		wantRefusal(t, "as an authorization code", d.token("grant_type", "authorization_code", "code", d.code), badGrant)
		d.poll().ok(t)

		// No service's own request can pass for a device's.
		forged := d.authorize("device", "AAAA", "prompt", "login")
		if i := d.interaction(forged); strings.Contains(i.Params, "device=") {
			t.Error("a service's request names a device")
		}
	})
}

// The tokens of a device are bound to the key that it showed when it asked.
func TestDeviceProof(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		d := h.device(`"dpop_bound_access_tokens": true`)
		key := d.prover()
		r := d.asksRequest()
		r.Header.Set(dpopHeader, key.proof("POST", deviceAuthorizationPath))
		got := d.do(r).ok(t)
		d.code, d.user = got["device_code"].(string), got["user_code"].(string)
		d.signIn(h.people())
		wantPage(t, d.allow(), "device-done", "")
		ask := []string{"grant_type", clients.GrantDeviceCode, "device_code", d.code}
		other := d.prover()
		wantRefusal(t, "without a proof", key.ask("", ask...), "Bad Request "+codeInvalidProof)
		wantRefusal(t, "with another key", other.ask(other.proof("POST", tokenPath), ask...), badGrant)
		tokens := key.ask(key.proof("POST", tokenPath), ask...).ok(t)
		_, access := payload(t, tokens["access_token"])
		if cnf, _ := access["cnf"].(map[string]any); tokens["token_type"] != "DPoP" || cnf["jkt"] != key.thumbprint() {
			t.Errorf("%v, cnf %v", tokens["token_type"], access["cnf"])
		}
	})
}

// A sign-out ends what has not been fetched yet.
func TestDeviceAfterSignOut(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		d := h.device("")
		session := d.signIn(h.people())
		r := d.tokenRequest("scope", "openid")
		r.URL.Path = deviceAuthorizationPath
		got := d.do(r).ok(t)
		d.code, d.user = got["device_code"].(string), got["user_code"].(string)
		wantPage(t, d.allow(), "device-done", "")
		if err := h.sessions.End(t.Context(), operator(), session, login.EndSignOut); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, "after a sign-out", d.poll(), badGrant)
	})
}
