package login

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

type closer func(context.Context, *Sessions, Interaction, Session) error

// closing are the ways to end an interaction in a session, and what each says of
// one that is over.
var closing = map[string]struct {
	do   closer
	over error
}{
	"close": {func(ctx context.Context, n *Sessions, i Interaction, s Session) error { return n.Close(ctx, i, s) }, ErrOver},
	"answered": {func(ctx context.Context, n *Sessions, i Interaction, s Session) error {
		return n.CloseAnswered(ctx, i, s)
	}, ErrAnswered},
}

// eachClosing runs fn with each of them, in a session whose activity was noted
// just now and in one whose was not.
func eachClosing(t *testing.T, fn func(t *testing.T, a, b *database.DB, age time.Duration, do closer, over error)) {
	t.Helper()
	for name, how := range closing {
		for when, age := range map[string]time.Duration{"noted": 0, "not noted": time.Minute} {
			t.Run(name+" "+when, func(t *testing.T) {
				databasetest.Two(t, func(t *testing.T, a, b *database.DB) { fn(t, a, b, age, how.do, how.over) })
			})
		}
	}
}

// aged signs somebody in and lets time go by.
func aged(t *testing.T, db *database.DB, n *Sessions, age time.Duration) Session {
	t.Helper()
	_, cookie := signIn(t, n, "browser-a", somebody())
	databasetest.Shift(t, db, age)
	s, err := n.Get(t.Context(), cookie)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCloseEndsAnInteractionOnce(t *testing.T) {
	t.Parallel()
	eachClosing(t, func(t *testing.T, a, b *database.DB, age time.Duration, do closer, over error) {
		nodes, n := []*Sessions{sessions(t, a, nil), sessions(t, b, nil)}, interactions(t, a)
		s, i := aged(t, a, nodes[0], age), start(t, n, "browser-a", Request{})
		var won, late atomic.Int32
		databasetest.Barrier(8, func(k int) {
			err := []*database.DB{a, b}[k%2].InTx(context.Background(), func(ctx context.Context) error { return do(ctx, nodes[k%2], i, s) })
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, over):
				late.Add(1)
			default:
				t.Error(err)
			}
		})
		if won.Load() != 1 || late.Load() != 7 {
			t.Errorf("%d have ended it, %d were late; want one of eight", won.Load(), late.Load())
		}
		wantLost(t, n.Over(t.Context(), i), i.Client)
	})
}

func TestCloseIsVoidBehindTheEndOfASession(t *testing.T) {
	t.Parallel()
	eachClosing(t, func(t *testing.T, a, _ *database.DB, age time.Duration, do closer, over error) {
		e, done := &ended{}, make(chan error, 1)
		n, all := sessions(t, a, e), interactions(t, a)
		s, i := aged(t, a, n, age), start(t, all, "browser-a", Request{})
		if age > 0 {
			over = ErrNoSession // the session has a statement of its own
		}
		err := a.InTx(t.Context(), func(ctx context.Context) error {
			if err := n.End(ctx, audit.Actor{}, s, EndSignOut); err != nil {
				return err
			}
			go func() {
				done <- a.InTx(context.Background(), func(ctx context.Context) error { return do(ctx, n, i, s) })
			}()
			select {
			case err := <-done:
				t.Errorf("did not wait for an end that is being written: %v", err)
			case <-time.After(100 * time.Millisecond):
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, over) {
			t.Errorf("got %v, want %v", err, over)
		}
		if err := all.Over(t.Context(), i); !errors.Is(err, ErrNoSession) {
			t.Errorf("over is %v, want the session", err)
		}
		if _, err := all.Get(t.Context(), "browser-a", i.ID); err != nil {
			t.Errorf("the interaction goes on: %v", err)
		}
	})
}

// An end of the session that comes at the same time waits, and its hook then sees
// what came of the interaction.
func TestEndWaitsForClose(t *testing.T) {
	t.Parallel()
	eachClosing(t, func(t *testing.T, a, b *database.DB, age time.Duration, do closer, _ error) {
		here, e := sessions(t, a, nil), &ended{}
		there := sessions(t, b, e)
		s, i := aged(t, a, here, age), start(t, interactions(t, a), "browser-a", Request{})
		endWaits(t, a, there, e, s, func(ctx context.Context) error { return do(ctx, here, i, s) })
	})
}
