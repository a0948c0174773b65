package login

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/secrets"
)

// ended records what the hook was told.
type ended struct {
	sids, reasons []string
	err           error
}

func (e *ended) hook(_ context.Context, sid string, reason string) error {
	e.sids, e.reasons = append(e.sids, sid), append(e.reasons, reason)
	return e.err
}

func auditLog(t *testing.T, db *database.DB) *audit.Log {
	t.Helper()
	ring, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.New(audit.Deps{DB: db, Verifier: ring.AuditVerifier(), Node: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func sessions(t *testing.T, db *database.DB, e *ended) *Sessions {
	t.Helper()
	if e == nil {
		e = &ended{}
	}
	n, err := NewSessions(SessionsDeps{DB: db, Audit: auditLog(t, db), Ended: e.hook})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func somebody() citizens.ID { return citizens.ID(uuid.NewString()) }

func signIn(t *testing.T, n *Sessions, browser string, who citizens.ID) (Session, string) {
	t.Helper()
	s, cookie, err := n.Start(context.Background(), audit.Actor{Kind: audit.Citizen, ID: string(who)}, SignIn{
		Browser: browser, Client: "estratto-conto", Citizen: who, ACR: "L1", AMR: []string{"pin"}, Kind: "ordinario",
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, cookie.Reveal()
}

func wantSession(t *testing.T, n *Sessions, cookie string, want SessionID) {
	t.Helper()
	got, err := n.Get(context.Background(), cookie)
	if err != nil || got.ID != want {
		t.Errorf("Get: got %q, %v, want session %q", got.ID, err, want)
	}
}

func wantNoSession(t *testing.T, n *Sessions, cookie string) {
	t.Helper()
	if got, err := n.Get(context.Background(), cookie); !errors.Is(err, ErrNoSession) {
		t.Errorf("Get: got %+v, %v, want ErrNoSession", got, err)
	}
}

func events(t *testing.T, db *database.DB, kind audit.Type) int {
	t.Helper()
	var n int
	row := db.SQL().QueryRowContext(t.Context(), "SELECT count(*) FROM audit_events WHERE type = '"+string(kind)+"'")
	if err := row.Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSessionIsReadWithOneStatement(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := sessions(t, db, nil)
		before := time.Now().Add(-time.Hour).UTC().Truncate(time.Microsecond)
		want, secret, err := n.Start(t.Context(), audit.Actor{}, SignIn{
			Browser: "browser-a", Citizen: somebody(), ACR: "L1", AMR: []string{"pin", "otp"}, Kind: "dispositivo", PreviousAccess: &before,
		})
		if err != nil {
			t.Fatal(err)
		}
		c := databasetest.Count(t, db)
		got, err := n.Get(t.Context(), secret.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Statements()) != 1 || len(c.Writes()) != 0 || c.Commits() != 0 {
			t.Errorf("got statements %q and %d commits, want one SELECT", c.Statements(), c.Commits())
		}
		if got.Now.Before(got.SeenAt) {
			t.Errorf("got now %s before seen %s", got.Now, got.SeenAt)
		}
		want.Now = got.Now
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("session (-want +got):\n%s", diff)
		}
		wantNoSession(t, n, "")
		wantNoSession(t, n, "no such cookie")
	})
}

// R55: closed after 30 minutes without a request, and after 8 hours in any case.
func TestR55SessionEndsWhenIdleAndAfterEightHours(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := sessions(t, db, nil)
		s, cookie := signIn(t, n, "browser-a", somebody())
		_, idle := signIn(t, n, "browser-b", somebody())
		databasetest.Shift(t, db, 29*time.Minute+30*time.Second)
		touch := func() {
			t.Helper()
			s, err := n.Get(t.Context(), cookie)
			if err == nil {
				err = n.Touch(t.Context(), s)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		touch()
		databasetest.Shift(t, db, 31*time.Second)
		wantSession(t, n, cookie, s.ID)
		wantNoSession(t, n, idle)
		for range 18 { // to 7:57:31, awake
			databasetest.Shift(t, db, 24*time.Minute+50*time.Second)
			touch()
		}
		wantSession(t, n, cookie, s.ID)
		databasetest.Shift(t, db, 3*time.Minute)
		wantNoSession(t, n, cookie)
		if err := n.Touch(t.Context(), s); !errors.Is(err, ErrNoSession) {
			t.Errorf("Touch of a session that is over: got %v, want ErrNoSession", err)
		}
		wantNoSession(t, n, cookie)
	})
}

func TestTouchJoinsTheTransactionAndRevivesNothing(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := sessions(t, db, nil)
		s, cookie := signIn(t, n, "browser-a", somebody())
		databasetest.Shift(t, db, 20*time.Minute)
		boom := errors.New("boom")
		err := db.InTx(t.Context(), func(ctx context.Context) error {
			return errors.Join(n.Touch(ctx, s), boom)
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		databasetest.Shift(t, db, 10*time.Minute)
		wantNoSession(t, n, cookie)
		if err := n.Touch(t.Context(), s); !errors.Is(err, ErrNoSession) {
			t.Errorf("Touch of a session that is over: got %v, want ErrNoSession", err)
		}
		wantNoSession(t, n, cookie)
	})
}

func TestEverySignInHasANewCookie(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		e := &ended{}
		n, mario, anna := sessions(t, db, e), somebody(), somebody()
		first, old := signIn(t, n, "browser-a", mario)
		databasetest.Shift(t, db, time.Minute)
		again, renewed := signIn(t, n, "browser-a", mario)
		if again.ID != first.ID || !again.AuthTime.After(first.AuthTime) || old == renewed {
			t.Errorf("same person: got session %s at %s, want %s renewed", again.ID, again.AuthTime, first.ID)
		}
		wantNoSession(t, n, old)
		wantSession(t, n, renewed, first.ID)
		if len(e.sids) != 0 {
			t.Errorf("a renewed session was ended: %v", e.sids)
		}
		hers, cookie := signIn(t, n, "browser-a", anna)
		wantNoSession(t, n, renewed)
		wantSession(t, n, cookie, hers.ID)
		if diff := cmp.Diff([]string{string(first.ID)}, e.sids); diff != "" || e.reasons[0] != EndReplaced {
			t.Errorf("another person: ended %v for %v", e.sids, e.reasons)
		}
		if events(t, db, audit.SessionStarted) != 3 || events(t, db, audit.SessionEnded) != 1 {
			t.Error("audit: want 3 starts and 1 end")
		}
		if dump := dumpTable(t, db, "sessions"); strings.Contains(dump, cookie) || strings.Contains(dump, "browser-a") {
			t.Error("the table shows a secret")
		}
	})
}

func TestSessionExpiredIsNotRenewed(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		e := &ended{}
		n, mario := sessions(t, db, e), somebody()
		first, _ := signIn(t, n, "browser-a", mario)
		databasetest.Shift(t, db, 31*time.Minute)
		second, cookie := signIn(t, n, "browser-a", mario)
		if second.ID == first.ID || len(e.sids) != 1 {
			t.Errorf("got session %s again, ended %v; want a new one", second.ID, e.sids)
		}
		wantSession(t, n, cookie, second.ID)
	})
}

func TestOneBrowserHasOneSessionWhenTabsSignInAtOnce(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		nodes := []*Sessions{sessions(t, a, nil), sessions(t, b, nil)}
		people := []citizens.ID{somebody(), somebody(), somebody()}
		cookies := make([]string, 12)
		databasetest.Barrier(len(cookies), func(k int) {
			_, cookie, err := nodes[k%2].Start(context.Background(), audit.Actor{}, SignIn{Browser: "browser-a", Citizen: people[k%3]})
			if err != nil {
				t.Error(err)
			}
			cookies[k] = cookie.Reveal()
		})
		live := 0
		for _, cookie := range cookies {
			if _, err := nodes[0].Get(t.Context(), cookie); err == nil {
				live++
			}
		}
		if live != 1 {
			t.Errorf("got %d live cookies, want 1", live)
		}
		if starts, ends := events(t, a, audit.SessionStarted), events(t, a, audit.SessionEnded); starts != 12 || ends > 11 {
			t.Errorf("audit: got %d starts and %d ends, want 12 and fewer", starts, ends)
		}
	})
}

func TestEndTakesWhatHangsOnTheSessionAlong(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		e := &ended{err: errors.New("grants cannot be ended")}
		n := sessions(t, db, e)
		s, cookie := signIn(t, n, "browser-a", somebody())
		if err := n.End(t.Context(), audit.Actor{}, s, EndSignOut); !errors.Is(err, e.err) {
			t.Fatalf("got %v, want the hook's error", err)
		}
		wantSession(t, n, cookie, s.ID)
		e.err = nil
		for range 2 {
			if err := n.End(t.Context(), audit.Actor{}, s, EndSignOut); err != nil {
				t.Fatal(err)
			}
		}
		wantNoSession(t, n, cookie)
		if got := events(t, db, audit.SessionEnded); got != 1 || len(e.sids) != 2 {
			t.Errorf("got %d events, hook called %d times; want 1 event, 2 calls (one rolled back)", got, len(e.sids))
		}
	})
}

func TestSessionEndsOnceWhenTabsSignOutAtOnce(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		var calls atomic.Int32
		hook := func(context.Context, string, string) error { calls.Add(1); return nil }
		var nodes []*Sessions
		for _, db := range []*database.DB{a, b} {
			n, err := NewSessions(SessionsDeps{DB: db, Audit: auditLog(t, db), Ended: hook})
			if err != nil {
				t.Fatal(err)
			}
			nodes = append(nodes, n)
		}
		s, _ := signIn(t, nodes[0], "browser-a", somebody())
		databasetest.Barrier(8, func(k int) {
			if err := nodes[k%2].End(context.Background(), audit.Actor{}, s, EndSignOut); err != nil {
				t.Error(err)
			}
		})
		if calls.Load() != 1 || events(t, a, audit.SessionEnded) != 1 {
			t.Errorf("got %d calls of the hook and %d events, want one each", calls.Load(), events(t, a, audit.SessionEnded))
		}
	})
}

// endWaits wants an end of s, which there knows and e is told of, to wait for a
// transaction of a in which do has come before.
func endWaits(t *testing.T, a *database.DB, there *Sessions, e *ended, s Session, do func(ctx context.Context) error) {
	t.Helper()
	done := make(chan error, 1)
	err := a.InTx(t.Context(), func(ctx context.Context) error {
		if err := do(ctx); err != nil {
			return err
		}
		if _, err := a.Writer(ctx).Do("SELECT 1"); err != nil { // whatever is sent next takes the lock along
			return err
		}
		go func() { done <- there.End(context.Background(), audit.Actor{}, s, EndSignOut) }()
		select {
		case err := <-done:
			t.Errorf("the session ended under an open transaction: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || len(e.sids) != 1 {
		t.Errorf("after the commit: got %v, ended %v, want one end", err, e.sids)
	}
}

// An end that comes while something is written in the session's name waits, and
// its hook then sees what was written.
func TestEndWaitsForATransactionThatTouchedTheSession(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		here, e := sessions(t, a, nil), &ended{}
		there := sessions(t, b, e)
		s, _ := signIn(t, here, "browser-a", somebody())
		endWaits(t, a, there, e, s, func(ctx context.Context) error { return here.Touch(ctx, s) })
		if err := here.Touch(t.Context(), s); !errors.Is(err, ErrNoSession) {
			t.Errorf("afterwards: got %v, want ErrNoSession", err)
		}
	})
}

func TestEndCitizenEndsEverySessionOfThatPerson(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		e := &ended{}
		n, mario, anna := sessions(t, db, e), somebody(), somebody()
		_, home := signIn(t, n, "browser-home", mario)
		_, work := signIn(t, n, "browser-work", mario)
		hers, cookie := signIn(t, n, "browser-hers", anna)
		if err := n.EndCitizen(t.Context(), mario, "pin-revoked"); err != nil {
			t.Fatal(err)
		}
		wantNoSession(t, n, home)
		wantNoSession(t, n, work)
		wantSession(t, n, cookie, hers.ID)
		if len(e.sids) != 2 || e.reasons[0] != "pin-revoked" {
			t.Errorf("hook: got %v for %v, want two for pin-revoked", e.sids, e.reasons)
		}
	})
}

// A change of PIN leaves the browser where it is made signed in, be it a change
// at will or one that a sign-in asks for, and nobody else.
func TestEndElsewhere(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		e := &ended{}
		n, mario, anna := sessions(t, db, e), somebody(), somebody()
		interactions, err := NewInteractions(db)
		if err != nil {
			t.Fatal(err)
		}
		home, atHome := signIn(t, n, "browser-home", mario)
		_, atWork := signIn(t, n, "browser-work", mario)
		abroad, whileAbroad := signIn(t, n, "browser-abroad", mario)
		hers, cookie := signIn(t, n, "browser-hers", anna)
		if err := n.KeepChange(t.Context(), home, "at will"); err != nil {
			t.Fatal(err)
		}
		if _, err := interactions.Start(t.Context(), "", Request{Client: "estratto-conto"}); err != nil { // a pushed one, whose browser has not come
			t.Fatal(err)
		}
		i, err := interactions.Start(t.Context(), "browser-abroad", Request{Client: "estratto-conto"})
		if err == nil {
			err = interactions.MarkChange(t.Context(), i, "of age", "ticket", time.Now().Add(time.Hour))
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := n.EndElsewhere(t.Context(), mario, "at will"); err != nil {
			t.Fatal(err)
		}
		wantSession(t, n, atHome, home.ID)
		wantNoSession(t, n, atWork)
		wantNoSession(t, n, whileAbroad)
		abroad, whileAbroad = signIn(t, n, "browser-abroad", mario)
		if err := n.EndElsewhere(t.Context(), mario, "of age"); err != nil {
			t.Fatal(err)
		}
		wantNoSession(t, n, atHome)
		wantSession(t, n, whileAbroad, abroad.ID)
		wantSession(t, n, cookie, hers.ID)
		if len(e.sids) != 3 || e.reasons[0] != EndPINChanged || events(t, db, audit.SessionEnded) != 3 {
			t.Errorf("hook: got %v for %v, want three for a changed PIN, and as many events", e.sids, e.reasons)
		}
	})
}

func TestSweepEndsAndDeletesSessions(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		e := &ended{}
		n := sessions(t, db, e)
		old, _ := signIn(t, n, "browser-a", somebody())
		databasetest.Shift(t, db, 8*time.Hour)
		young, cookie := signIn(t, n, "browser-b", somebody())
		sweep := func(want int) {
			t.Helper()
			if got, err := n.Sweep(t.Context()); err != nil || got != want {
				t.Errorf("Sweep: got %d, %v, want %d", got, err, want)
			}
		}
		sweep(1)
		if diff := cmp.Diff([]string{string(old.ID)}, e.sids); diff != "" || e.reasons[0] != EndExpired {
			t.Errorf("ended %v for %v, want the expired one", e.sids, e.reasons)
		}
		sweep(0)
		wantSession(t, n, cookie, young.ID)
		databasetest.Shift(t, db, 24*time.Hour)
		sweep(2) // the young one ends, the old one goes
	})
}

// What the janitor looks for is found by an index of its own: ended sessions
// stay a day, and are not gone through for the few that are due.
func TestSweepPassesByEndedSessions(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := sessions(t, db, &ended{})
		signIn(t, n, "browser", somebody())
		if db.Dialect() == database.Postgres { // whose plans hang on what there is
			for _, q := range []string{`INSERT INTO sessions (id, secret_hash, browser_hash, citizen_id, acr, amr, pin_kind, started_at, auth_time, seen_at, expires_at, ended_at)
				SELECT gen_random_uuid(), sha256(g::text::bytea), sha256(g::text::bytea), citizen_id, acr, amr, pin_kind, started_at, auth_time, seen_at, expires_at,
				CASE WHEN g % 2 = 0 THEN started_at END FROM sessions, generate_series(1, 2000) AS g`, "ANALYZE sessions"} {
				if err := db.Write(t.Context()).Exec(q).Error; err != nil {
					t.Fatal(err)
				}
			}
		}
		counter := databasetest.Count(t, db)
		if _, err := n.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		var plans []string
		for _, q := range counter.Statements() {
			if strings.Contains(q, "ended_at IS NULL AND expires_at <=") {
				plans = append(plans, plan(t, db, strings.NewReplacer("$1", "1000", "?", "1000").Replace(q)))
			}
		}
		if len(plans) != 1 || !strings.Contains(plans[0], "sessions_due") || strings.Contains(plans[0], "Filter") {
			t.Errorf("the janitor looks for sessions by %q, want sessions_due and nothing else", plans)
		}
	})
}

// plan is how the database carries a statement out, were the table large.
func plan(t *testing.T, db *database.DB, q string) (text string) {
	t.Helper()
	err := db.InTx(t.Context(), func(ctx context.Context) error {
		explain := "EXPLAIN QUERY PLAN "
		if db.Dialect() == database.Postgres {
			explain = "EXPLAIN "
			if err := db.Write(ctx).Exec("SET LOCAL enable_seqscan = off").Error; err != nil {
				return err
			}
		}
		rows, err := db.Write(ctx).Raw(explain + q).Rows()
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var id, parent, unused int
			var line string
			to := []any{&id, &parent, &unused, &line}
			if db.Dialect() == database.Postgres {
				to = to[3:]
			}
			if err := rows.Scan(to...); err != nil {
				return err
			}
			text += line + "\n"
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCookieDoesNotPrint(t *testing.T) {
	t.Parallel()
	c := Cookie{"s3cret"}
	if got := c.String() + c.GoString(); strings.Contains(got, "s3cret") {
		t.Errorf("got %q", got)
	}
	if _, err := c.MarshalJSON(); err == nil {
		t.Error("a cookie was encoded")
	}
}
