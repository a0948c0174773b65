package consent

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/login"
	"ente.example/idp/secrets"
)

// desk is Consents over one node's database, for one citizen and one client.
type desk struct {
	t            *testing.T
	db           *database.DB
	consents     *Consents
	interactions *login.Interactions
	session      login.Session
	client       clients.Client
}

func newDesk(t *testing.T, db *database.DB, p clients.ConsentPolicy) desk {
	t.Helper()
	ring, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.New(audit.Deps{DB: db, Verifier: ring.AuditVerifier(), Node: "test"})
	if err != nil {
		t.Fatal(err)
	}
	interactions, err := login.NewInteractions(db)
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := login.NewSessions(login.SessionsDeps{DB: db, Audit: log})
	if err != nil {
		t.Fatal(err)
	}
	consents, err := New(Deps{DB: db, Audit: log, Interactions: interactions, Sessions: sessions})
	if err != nil {
		t.Fatal(err)
	}
	s := login.Session{ID: login.SessionID(uuid.NewString()), Citizen: citizens.ID(uuid.NewString())}
	return desk{t, db, consents, interactions, s, clients.Client{ID: "estratto-conto", Consent: p}}
}

func (d desk) start(w login.Wants) Decision {
	d.t.Helper()
	i, err := d.interactions.Start(d.t.Context(), "browser", login.Request{Client: d.client.ID, Wants: w})
	if err != nil {
		d.t.Fatal(err)
	}
	return Decision{Interaction: i, Session: d.session, Client: d.client, Remember: true}
}

func (d desk) allow(w login.Wants) {
	d.t.Helper()
	if err := d.consents.Allow(d.t.Context(), audit.Actor{}, d.start(w)); err != nil {
		d.t.Fatal(err)
	}
}

func (d desk) kept() []string {
	d.t.Helper()
	k, err := d.consents.kept(d.t.Context(), d.session.Citizen, d.client)
	if err != nil || k == nil {
		d.t.Fatal(k, err)
	}
	return k.claims
}

func (d desk) wantNeed(w login.Wants, want bool) {
	d.t.Helper()
	got, err := d.consents.Needed(d.t.Context(), d.session.Citizen, d.client, w)
	if err != nil {
		d.t.Fatal(err)
	}
	if got != want {
		d.t.Errorf("asking %v: got page %v, want %v", w, got, want)
	}
}

func (d desk) events(kind audit.Type) int {
	d.t.Helper()
	var n int
	row := d.db.SQL().QueryRowContext(d.t.Context(), "SELECT count(*) FROM audit_events WHERE type = '"+string(kind)+"'")
	if err := row.Scan(&n); err != nil {
		d.t.Fatal(err)
	}
	return n
}

func scopes(names ...string) login.Wants {
	return login.Wants{Scopes: append([]string{"openid"}, names...)}
}

func TestPolicyDecidesWhetherThePageIsShown(t *testing.T) {
	t.Parallel()
	offline, insists := scopes("email"), scopes("email")
	offline.Offline, insists.ForceConsent = true, true
	email := &kept{claims: []string{"email", "email_verified"}}
	for _, c := range []struct {
		name   string
		policy clients.ConsentPolicy
		wants  login.Wants
		kept   *kept
		want   bool
	}{
		{"trusted never", clients.ConsentTrusted, insists, nil, false},
		{"always, kept or not", clients.ConsentAlways, scopes("email"), email, true},
		{"remember, the first time", clients.ConsentRemember, scopes("email"), nil, true},
		{"remember, the same", clients.ConsentRemember, scopes("email"), email, false},
		{"remember, less", clients.ConsentRemember, scopes(), email, false},
		{"remember, one more", clients.ConsentRemember, scopes("email", "pin"), email, true},
		{"remember, one more by the claims parameter", clients.ConsentRemember, login.Wants{Claims: []string{"pin_kind"}}, email, true},
		{"remember, offline is more", clients.ConsentRemember, offline, email, true},
		{"remember, offline kept", clients.ConsentRemember, offline, &kept{email.claims, true}, false},
		{"remember, the service insists", clients.ConsentRemember, insists, email, true},
		{"no policy", "", scopes("email"), email, true},
	} {
		if got := need(c.policy, c.wants, c.kept); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestConsentIsKeptPerClientAndSetOfClaims(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newDesk(t, db, clients.ConsentRemember)
		d.wantNeed(scopes("email"), true)
		d.allow(scopes("email"))
		d.wantNeed(scopes("email"), false)
		other := d
		other.client.ID = "naspi"
		other.wantNeed(scopes("email"), true)
		d.wantNeed(scopes("email", "pin"), true)
		if kept := d.kept(); !slices.Equal(kept, []string{"email", "email_verified"}) {
			t.Errorf("got kept %v, want those of email", kept)
		}
		d.allow(scopes("pin"))
		d.wantNeed(scopes("email", "pin"), false)
		c := databasetest.Count(t, db)
		d.wantNeed(scopes("email"), false)
		if len(c.Statements()) != 1 || len(c.Writes()) != 0 {
			t.Errorf("got %q, want one SELECT", c.Statements())
		}
		if got := d.events(audit.ConsentGiven); got != 2 {
			t.Errorf("audit: got %d consents, want 2", got)
		}
	})
}

func TestConsentIsKeptOnlyWhenTicked(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newDesk(t, db, clients.ConsentRemember)
		unticked := d.start(scopes("email"))
		unticked.Remember = false
		if err := d.consents.Allow(t.Context(), audit.Actor{}, unticked); err != nil {
			t.Fatal(err)
		}
		d.wantNeed(scopes("email"), true)
		d.client.Consent = clients.ConsentAlways // whatever the form says
		d.allow(scopes("email"))
		d.client.Consent = clients.ConsentRemember
		d.wantNeed(scopes("email"), true)
	})
}

func TestDenyAnswersAndKeepsNothing(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newDesk(t, db, clients.ConsentRemember)
		no := d.start(scopes("email"))
		if err := d.consents.Deny(t.Context(), audit.Actor{}, no); err != nil {
			t.Fatal(err)
		}
		got, err := d.interactions.Get(t.Context(), "browser", no.Interaction.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&login.Answer{Session: d.session.ID}, got.Consent); diff != "" {
			t.Errorf("answer (-want +got):\n%s", diff)
		}
		d.wantNeed(scopes("email"), true)
		if d.events(audit.ConsentDenied) != 1 {
			t.Error("audit: want one denied consent")
		}
	})
}

func TestAllowAnswersWithAllThatWasAsked(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newDesk(t, db, clients.ConsentAlways)
		yes := d.start(login.Wants{Scopes: []string{"openid", "pin"}, Claims: []string{"email"}})
		if err := d.consents.Allow(t.Context(), audit.Actor{}, yes); err != nil {
			t.Fatal(err)
		}
		got, err := d.interactions.Get(t.Context(), "browser", yes.Interaction.ID)
		if err != nil {
			t.Fatal(err)
		}
		want := &login.Answer{Allowed: true, Scopes: []string{"openid", "pin"}, Claims: []string{"email", "pin_kind"}, Session: d.session.ID}
		if diff := cmp.Diff(want, got.Consent); diff != "" {
			t.Errorf("answer (-want +got):\n%s", diff)
		}
	})
}

// One tab says yes while another says no: one of them counts, and only that one
// is recorded.
func TestOneAnswerCountsWhenTabsAnswerAtOnce(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		here, there := newDesk(t, a, clients.ConsentRemember), newDesk(t, b, clients.ConsentRemember)
		there.session = here.session
		d := here.start(scopes("email"))
		var yes, no, late atomic.Int32
		databasetest.Barrier(8, func(k int) {
			desk, count, err := here, &yes, error(nil)
			if k%2 == 1 {
				desk, count = there, &no
				err = desk.consents.Deny(context.Background(), audit.Actor{}, d)
			} else {
				err = desk.consents.Allow(context.Background(), audit.Actor{}, d)
			}
			if errors.Is(err, login.ErrAnswered) {
				count = &late
			} else if err != nil {
				t.Error(err)
			}
			count.Add(1)
		})
		if yes.Load()+no.Load() != 1 || late.Load() != 7 {
			t.Errorf("got %d yes, %d no, %d late, want one that counts", yes.Load(), no.Load(), late.Load())
		}
		here.wantNeed(scopes("email"), yes.Load() == 0)
		if given, denied := here.events(audit.ConsentGiven), here.events(audit.ConsentDenied); given != int(yes.Load()) || denied != int(no.Load()) {
			t.Errorf("audit: got %d given, %d denied", given, denied)
		}
	})
}

func TestConsentsGivenInTwoTabsAtOnceBothCount(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		here, there := newDesk(t, a, clients.ConsentRemember), newDesk(t, b, clients.ConsentRemember)
		there.session = here.session
		asked := []string{"email", "pin", "phone", "address"}
		decisions := make([]Decision, len(asked))
		for i, scope := range asked {
			decisions[i] = here.start(scopes(scope))
		}
		databasetest.Barrier(len(asked), func(k int) {
			desk := []desk{here, there}[k%2]
			if err := desk.consents.Allow(context.Background(), audit.Actor{}, decisions[k]); err != nil {
				t.Error(err)
			}
		})
		here.wantNeed(scopes(asked...), false)
	})
}

func TestWithdraw(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newDesk(t, db, clients.ConsentRemember)
		d.allow(scopes("email"))
		for range 2 {
			if err := d.consents.Withdraw(t.Context(), audit.Actor{}, d.session.Citizen, d.client.ID); err != nil {
				t.Fatal(err)
			}
		}
		d.wantNeed(scopes("email"), true)
		if got := d.events(audit.ConsentWithdrawn); got != 1 {
			t.Errorf("audit: got %d withdrawals, want 1", got)
		}
	})
}
