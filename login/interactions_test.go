package login

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

func interactions(t *testing.T, db *database.DB) *Interactions {
	t.Helper()
	n, err := NewInteractions(db)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func start(t *testing.T, n *Interactions, browser string, r Request) Interaction {
	t.Helper()
	if r.Client == "" {
		r.Client = "estratto-conto"
	}
	i, err := n.Start(context.Background(), browser, r)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func wantLost(t *testing.T, err error, client string) {
	t.Helper()
	lost, ok := errors.AsType[*LostError](err)
	if !ok || !errors.Is(err, ErrLost) || lost.Client != client {
		t.Errorf("got error %v (%+v), want a LostError of client %q", err, lost, client)
	}
}

func fakeSession() Session {
	return Session{ID: SessionID(uuid.NewString()), AuthTime: time.Date(2026, 11, 18, 9, 37, 0, 0, time.UTC)}
}

func TestInteractionComesBackAsItWasStarted(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, ctx, age := interactions(t, db), context.Background(), 300
		want := start(t, n, "browser-a", Request{
			Params: "scope=openid+profile&state=s", Lang: "en it", LoginHint: "RSSMRA80A01H501U",
			Wants: Wants{Scopes: []string{"openid", "profile"}, Claims: []string{"email"}, Offline: true, ForceLogin: true, MaxAge: &age},
		})
		got, err := n.Get(ctx, "browser-a", want.ID)
		if err != nil {
			t.Fatal(err)
		}
		want.Now = got.Now
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Interaction{})); diff != "" {
			t.Errorf("after Get (-want +got):\n%s", diff)
		}
		if got.ResumeURL() != "/authorize/"+want.ID || len(want.ID) < 43 {
			t.Errorf("got %s, want /authorize/ and 256 bits", got.ResumeURL())
		}
		if d := got.ExpiresAt.Sub(got.RequestedAt); d < time.Hour || d > time.Hour+time.Second {
			t.Errorf("got a life of %s, want 60 minutes", d)
		}
	})
}

func TestInteractionIsTheBrowsersThatBroughtIt(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, ctx := interactions(t, db), context.Background()
		i := start(t, n, "browser-a", Request{})
		_, err := n.Get(ctx, "browser-b", i.ID)
		wantLost(t, err, "estratto-conto")
		_, err = n.Get(ctx, "", i.ID)
		wantLost(t, err, "estratto-conto")
		_, err = n.Get(ctx, "browser-a", "unknown")
		wantLost(t, err, "")
		stolen := i
		stolen.browser = digest("browser", "browser-b")
		wantLost(t, n.MarkChosen(ctx, stolen, fakeSession().ID), "estratto-conto")
		wantLost(t, n.End(ctx, stolen), "estratto-conto")
	})
}

func TestInteractionWithoutABrowserIsTheFirstOnes(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		nodes, ctx := []*Interactions{interactions(t, a), interactions(t, b)}, context.Background()
		i := start(t, nodes[0], "", Request{})
		var got atomic.Int32
		var owner atomic.Value
		databasetest.Barrier(8, func(k int) {
			browser := fmt.Sprintf("browser-%d", k)
			_, err := nodes[k%2].Get(ctx, browser, i.ID)
			switch {
			case err == nil:
				got.Add(1)
				owner.Store(browser)
			case !errors.Is(err, ErrLost):
				t.Error(err)
			}
		})
		if got.Load() != 1 {
			t.Fatalf("got %d browsers with the interaction, want 1", got.Load())
		}
		if _, err := nodes[1].Get(ctx, owner.Load().(string), i.ID); err != nil {
			t.Errorf("its browser comes again: %v", err)
		}
	})
}

func TestInteractionLivesSixtyMinutes(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, ctx := interactions(t, db), context.Background()
		i := start(t, n, "browser-a", Request{})
		databasetest.Shift(t, db, 59*time.Minute+30*time.Second)
		if _, err := n.Get(ctx, "browser-a", i.ID); err != nil {
			t.Fatal(err)
		}
		databasetest.Shift(t, db, 31*time.Second)
		_, err := n.Get(ctx, "browser-a", i.ID)
		wantLost(t, err, "estratto-conto")
		wantLost(t, n.End(ctx, i), "estratto-conto")
		wantLost(t, n.Answer(ctx, i, Answer{Session: fakeSession().ID}), "estratto-conto")
	})
}

func TestTwentyInteractionsPerBrowserAndTheOldestGoes(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, ctx := interactions(t, db), context.Background()
		other := start(t, n, "browser-b", Request{})
		var all []Interaction
		for range 23 {
			all = append(all, start(t, n, "browser-a", Request{}))
		}
		for k, i := range all {
			_, err := n.Get(ctx, "browser-a", i.ID)
			if dropped := k < 3; dropped {
				wantLost(t, err, "estratto-conto")
			} else if err != nil {
				t.Errorf("number %d of 23: %v", k+1, err)
			}
		}
		if _, err := n.Get(ctx, "browser-b", other.ID); err != nil {
			t.Errorf("another browser's: %v", err)
		}
	})
}

func TestTwentyInteractionsPerBrowserWhenTabsOpenAtOnce(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		nodes, ctx := []*Interactions{interactions(t, a), interactions(t, b)}, context.Background()
		ids := make([]string, 40)
		databasetest.Barrier(len(ids), func(k int) {
			i, err := nodes[k%2].Start(ctx, "browser-a", Request{Client: "c"})
			if err != nil {
				t.Error(err)
			}
			ids[k] = i.ID
		})
		open := slices.DeleteFunc(ids, func(id string) bool {
			_, err := nodes[0].Get(ctx, "browser-a", id)
			return err != nil
		})
		if len(open) != openPerBrowser {
			t.Errorf("got %d open, want %d", len(open), openPerBrowser)
		}
	})
}

func TestInteractionEndsOnce(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		nodes, ctx := []*Interactions{interactions(t, a), interactions(t, b)}, context.Background()
		i := start(t, nodes[0], "browser-a", Request{Params: "state=s"})
		var won atomic.Int32
		databasetest.Barrier(16, func(k int) {
			switch err := nodes[k%2].End(ctx, i); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, ErrLost):
				t.Error(err)
			}
		})
		if won.Load() != 1 {
			t.Errorf("got %d ends, want 1", won.Load())
		}
		_, err := nodes[1].Get(ctx, "browser-a", i.ID)
		wantLost(t, err, "estratto-conto")
	})
}

func TestAnEndThatIsRolledBackIsNone(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, ctx := interactions(t, db), context.Background()
		i := start(t, n, "browser-a", Request{})
		boom := errors.New("the grant could not be written")
		err := db.InTx(ctx, func(ctx context.Context) error {
			return errors.Join(n.End(ctx, i), boom)
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		if _, err := n.Get(ctx, "browser-a", i.ID); err != nil {
			t.Errorf("after the rollback: %v", err)
		}
	})
}

func TestConsentIsAnsweredOnceForEachSession(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		nodes, ctx, s := []*Interactions{interactions(t, a), interactions(t, b)}, context.Background(), fakeSession()
		i := start(t, nodes[0], "browser-a", Request{})
		var allowed, denied, refused atomic.Int32
		databasetest.Barrier(8, func(k int) {
			err := nodes[k%2].Answer(ctx, i, Answer{Allowed: k < 4, Session: s.ID})
			switch {
			case err == nil && k < 4:
				allowed.Add(1)
			case err == nil:
				denied.Add(1)
			case errors.Is(err, ErrAnswered):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
		if allowed.Load()+denied.Load() != 1 || refused.Load() != 7 {
			t.Errorf("got %d yes, %d no, %d late; want one of eight to count", allowed.Load(), denied.Load(), refused.Load())
		}
		got, err := nodes[0].Get(ctx, "browser-a", i.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Consent == nil || got.Consent.Allowed != (allowed.Load() == 1) || got.Consent.Session != s.ID {
			t.Errorf("got answer %+v, want the one that counted", got.Consent)
		}
		another := Answer{Allowed: true, Claims: []string{"email"}, Scopes: []string{"openid"}, Session: fakeSession().ID}
		if err := nodes[0].Answer(ctx, i, another); err != nil {
			t.Fatalf("somebody else signed in and answers: %v", err)
		}
		got, _ = nodes[0].Get(ctx, "browser-a", i.ID)
		if diff := cmp.Diff(&another, got.Consent); diff != "" {
			t.Errorf("answer (-want +got):\n%s", diff)
		}
	})
}

func TestMarks(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, ctx, s := interactions(t, db), context.Background(), fakeSession()
		i := start(t, n, "browser-a", Request{})
		get := func() Interaction {
			t.Helper()
			got, err := n.Get(ctx, "browser-a", i.ID)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		do := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		do(n.MarkChosen(ctx, i, s.ID))
		if got := get(); !got.AccountChosen || got.ChosenSession != s.ID || got.Session != "" {
			t.Errorf("chosen: got %+v", got)
		}
		do(n.MarkOther(ctx, i))
		if got := get(); got.AccountChosen || !got.Wants.ForceLogin {
			t.Errorf("another person: got %+v, want a sign-in asked for", got)
		}
		do(n.MarkSignedIn(ctx, i, s))
		got := get()
		if got.Session != s.ID || got.ChosenSession != s.ID || got.AuthenticatedAt == nil || !got.AuthenticatedAt.Equal(s.AuthTime) {
			t.Errorf("signed in: got %+v, want session %s", got, s.ID)
		}
	})
}

func TestOpenChange(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, ctx := interactions(t, db), context.Background()
		i, other := start(t, n, "browser-a", Request{}), start(t, n, "browser-a", Request{})
		want := func(when string, browser string, want bool) {
			t.Helper()
			got, err := n.OpenChange(ctx, browser)
			if err != nil || got != want {
				t.Errorf("%s: got %v, %v, want %v", when, got, err, want)
			}
		}
		mark := func(i Interaction, id string) {
			t.Helper()
			now, err := db.Now(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := n.MarkChange(ctx, i, changeID(id), "ticket", now.Add(10*time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		want("at first", "browser-a", false)
		mark(i, "change-1")
		want("after the right PIN", "browser-a", true)
		want("in another browser", "browser-b", false)
		if err := n.ClearChange(ctx, i, changeID("change-0")); err != nil {
			t.Fatal(err)
		}
		want("an older ticket is cancelled", "browser-a", true)
		if err := n.ClearChange(ctx, i, changeID("change-1")); err != nil {
			t.Fatal(err)
		}
		want("cancelled", "browser-a", false)
		mark(i, "change-2")
		if err := n.MarkSignedIn(ctx, i, fakeSession()); err != nil {
			t.Fatal(err)
		}
		want("done", "browser-a", false)
		mark(other, "change-3")
		databasetest.Shift(t, db, 10*time.Minute)
		want("ten minutes later", "browser-a", false)
	})
}

func TestTheDatabaseShowsNothingOfARequest(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n := interactions(t, db)
		i := start(t, n, "browser-a", Request{Params: "login_hint=RSSMRA80A01H501U&state=st4te", LoginHint: "RSSMRA80A01H501U"})
		dump := dumpTable(t, db, "interactions")
		for _, secret := range []string{"RSSMRA80A01H501U", "st4te", "browser-a", i.ID} {
			if strings.Contains(dump, secret) {
				t.Errorf("the table shows %q", secret)
			}
		}
	})
}

func TestSweepKeepsTombstonesADay(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		n, ctx := interactions(t, db), context.Background()
		old := start(t, n, "browser-a", Request{})
		databasetest.Shift(t, db, time.Hour+23*time.Hour)
		sweep := func(want int) {
			t.Helper()
			if got, err := n.Sweep(ctx); err != nil || got != want {
				t.Errorf("Sweep: got %d, %v, want %d", got, err, want)
			}
		}
		sweep(1) // erased
		sweep(0)
		_, err := n.Get(ctx, "browser-a", old.ID)
		wantLost(t, err, "estratto-conto")
		young := start(t, n, "browser-a", Request{})
		databasetest.Shift(t, db, time.Hour)
		sweep(2) // the young one erased, the old one gone
		_, err = n.Get(ctx, "browser-a", old.ID)
		wantLost(t, err, "")
		_, err = n.Get(ctx, "browser-a", young.ID)
		wantLost(t, err, "estratto-conto")
	})
}
