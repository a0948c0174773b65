package delivery

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

func TestEnqueueBelongsIntoATransaction(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		if err := f.Enqueue(t.Context(), sms("c")); !errors.Is(err, ErrNoTransaction) {
			t.Errorf("Enqueue alone: %v, want ErrNoTransaction", err)
		}
		rolledBack := errors.New("changed my mind")
		err := f.db.InTx(t.Context(), func(ctx context.Context) error {
			return errors.Join(f.Enqueue(ctx, sms("c")), rolledBack)
		})
		if !errors.Is(err, rolledBack) || f.count("deliveries") != 0 {
			t.Errorf("after a rollback: %v and %d messages, want none", err, f.count("deliveries"))
		}
	})
}

func TestHandOver(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.enqueue(sms("credential"))
		f.works(1)
		letters := f.sender.got()
		if len(letters) != 1 || letters[0].To.Reveal() != number || !strings.Contains(letters[0].Body.Reveal(), "\n"+half+"\n") {
			t.Fatalf("sent %d letters, want one with the half to the number", len(letters))
		}
		if len(f.accepted) != 1 || f.accepted[0].Ref != "credential" || f.accepted[0].Key != PINHalf1 || f.accepted[0].Citizen != somebody {
			t.Errorf("accepted %+v, want the receipt of the half", f.accepted)
		}
		if n := f.count("deliveries WHERE state = 'accepted' AND body IS NULL"); n != 1 {
			t.Errorf("%d accepted rows without a body, want 1", n)
		}
		if n := f.count("audit_events WHERE type = 'message.sent' AND subject = '" + somebody + "'"); n != 1 {
			t.Errorf("%d audit events, want 1", n)
		}
		f.works(0)
	})
}

// P12: no half is readable at rest, whatever one dumps.
func TestNothingReadableAtRest(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.enqueue(sms("c"))
		dump := f.rows()
		if path := f.db.Path(); path != "" {
			for _, suffix := range []string{"", "-wal"} {
				b, err := os.ReadFile(path + suffix)
				if err != nil {
					t.Fatal(err)
				}
				dump += string(b)
			}
		}
		for _, secret := range []string{half, number, "Mario", "Rossi"} {
			reversed := []byte(secret)
			for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
				reversed[i], reversed[j] = reversed[j], reversed[i]
			}
			for _, form := range []string{secret, string(reversed), hex.EncodeToString([]byte(secret)), base64.RawStdEncoding.EncodeToString([]byte(secret))} {
				if strings.Contains(dump, form) {
					t.Errorf("the database holds %q as %q", secret, form)
				}
			}
		}
	})
}

func TestABodyOpensOnlyWhereItBelongs(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, move := range []string{"channel = 'email'", "citizen_id = '01890000-0000-7000-8000-0000000000ff'", "id = '01890000-0000-7000-8000-0000000000fe'"} {
			f.enqueue(sms("c"))
			if err := f.db.Write(t.Context()).Exec(`UPDATE deliveries SET ` + move).Error; err != nil {
				t.Fatal(err)
			}
			for _, c := range []Channel{SMS, Email} {
				if _, err := f.work(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(f.sender.got()); n != 0 {
				t.Fatalf("after %s: %d letters sent, want none", move, n)
			}
			if err := f.db.Write(t.Context()).Exec(`DELETE FROM deliveries`).Error; err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestRetriesUntilTheTransportIsBack(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.sender.answer = func(n int) error {
			if n < 4 {
				return failing(n)
			}
			return nil
		}
		f.enqueue(sms("c"))
		f.works(1)
		f.works(0) // it waits now
		for range 3 {
			databasetest.Shift(t, f.db, 2*time.Minute)
			f.works(1)
		}
		letters := f.sender.got()
		if len(letters) != 4 || len(f.accepted) != 1 {
			t.Fatalf("%d tries and %d hand-overs, want 4 and 1", len(letters), len(f.accepted))
		}
		for _, l := range letters {
			if l.ID != letters[0].ID || l.Body != letters[0].Body || !l.QueuedAt.Equal(letters[0].QueuedAt) {
				t.Error("a retry differs from the first try")
			}
		}
	})
}

func TestDeadAfterThreeDays(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.sender.answer = failing
		f.enqueue(sms("c"))
		for range 71 {
			databasetest.Shift(t, f.db, time.Hour)
			if _, err := f.work(t.Context(), SMS); err != nil {
				t.Fatal(err)
			}
		}
		if len(f.failed) != 0 {
			t.Fatal("given up before 72 hours")
		}
		databasetest.Shift(t, f.db, 3*time.Hour)
		f.works(1)
		f.buried("c")
	})
}

// buried checks that the one message there was is dead with all that follows.
func (f *fixture) buried(ref string) {
	f.t.Helper()
	if len(f.failed) != 1 || f.failed[0].Ref != ref || len(f.accepted) != 0 {
		f.t.Errorf("failed %+v and accepted %+v, want one failure of %s", f.failed, f.accepted, ref)
	}
	if n := f.count("deliveries WHERE state = 'dead' AND body IS NULL"); n != 1 {
		f.t.Errorf("%d dead rows without a body, want 1", n)
	}
	if n := f.count("audit_events WHERE type = 'message.failed'"); n != 1 {
		f.t.Errorf("%d audit events of a failure, want 1", n)
	}
}

func TestDeadAtOnceWhenRejected(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.sender.answer = func(int) error { return fmt.Errorf("no such number: %w", ErrRejected) }
		f.enqueue(sms("c"))
		f.works(1)
		f.buried("c")
	})
}

func TestDeadWithoutAWorker(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		m := sms("c")
		m.Channel = PEC // nobody serves it
		f.enqueue(m)
		databasetest.Shift(t, f.db, 71*time.Hour)
		if err := f.Sweep(t.Context()); err != nil || len(f.failed) != 0 {
			t.Fatalf("Sweep = %v with %d failures, want none before 72 hours", err, len(f.failed))
		}
		databasetest.Shift(t, f.db, 2*time.Hour)
		if err := f.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.buried("c")
		databasetest.Shift(t, f.db, DefaultPolicy().Keep+time.Hour)
		if err := f.Sweep(t.Context()); err != nil || f.count("deliveries") != 0 {
			t.Errorf("Sweep = %v, %d rows left, want none after their time", err, f.count("deliveries"))
		}
	})
}

// F: the transport has accepted, and the node dies before it is recorded.
func TestCrashBetweenHandOverAndRecord(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		dir := t.TempDir()
		f.senders[SMS] = NewFolder(dir)
		f.enqueue(sms("c"))
		f.hook = errors.New("crash")
		if _, err := f.work(t.Context(), SMS); err == nil {
			t.Fatal("a hook that fails goes unnoticed")
		}
		if n := f.count("deliveries WHERE state = 'queued' AND body IS NOT NULL"); n != 1 {
			t.Fatalf("%d messages still queued, want 1", n)
		}
		before := files(t, dir)
		f.hook = nil
		f.works(0) // the lease is still held
		databasetest.Shift(t, f.db, f.policy.Lease+time.Second)
		f.works(1)
		after := files(t, dir)
		if len(before) != 1 || len(after) != 1 || before[0] != after[0] {
			t.Errorf("files %q, then %q, want the same single file", before, after)
		}
		if n := f.count("deliveries WHERE state = 'accepted'"); n != 1 {
			t.Errorf("%d accepted, want 1", n)
		}
	})
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range list {
		b, err := os.ReadFile(dir + "/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e.Name()+"\n"+string(b))
	}
	return all
}

func TestHeldUntilReleased(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		kept, dropped := sms("kept"), sms("dropped")
		kept.Held, dropped.Held = true, true
		f.enqueue(kept, dropped)
		f.works(0)
		err := f.db.InTx(t.Context(), func(ctx context.Context) error {
			return errors.Join(f.Release(ctx, "kept"), f.Cancel(ctx, "dropped"))
		})
		if err != nil {
			t.Fatal(err)
		}
		f.works(1)
		if len(f.accepted) != 1 || f.accepted[0].Ref != "kept" {
			t.Errorf("accepted %+v, want what was released", f.accepted)
		}
		if n := f.count("deliveries WHERE state = 'cancelled' AND body IS NULL"); n != 1 {
			t.Errorf("%d cancelled rows without a body, want 1", n)
		}
	})
}

func TestCancelledWhileOnItsWay(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.sender.answer = func(int) error {
			return f.db.InTx(context.Background(), func(ctx context.Context) error { return f.Cancel(ctx, "c") })
		}
		f.enqueue(sms("c"))
		f.works(1)
		if len(f.accepted) != 0 || f.count("deliveries WHERE state = 'cancelled'") != 1 {
			t.Errorf("accepted %+v, want nothing: it was cancelled before the record", f.accepted)
		}
	})
}

func TestTwoWorkersShare(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		ring := newRing(t)
		one, two := newFixture(t, a, ring), newFixture(t, b, ring)
		const messages = 60
		for i := range messages {
			one.enqueue(sms(fmt.Sprint(i)))
		}
		nodes := []*fixture{one, one, two, two}
		databasetest.Barrier(len(nodes), func(i int) {
			for {
				n, err := nodes[i].work(context.Background(), SMS)
				if err != nil {
					t.Error(err)
				}
				if n == 0 {
					return
				}
			}
		})
		if n := one.count("deliveries WHERE state = 'accepted'"); n != messages {
			t.Errorf("%d accepted, want %d", n, messages)
		}
		if n := len(one.sender.got()) + len(two.sender.got()); n != messages {
			t.Errorf("%d sent, want %d: each once", n, messages)
		}
	})
}

func TestRunDeliversAtOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, stop := context.WithCancel(t.Context())
		seen := make(chan struct{}, 8)
		f.sender.answer = func(int) error { seen <- struct{}{}; return nil }
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		for range 3 {
			start := time.Now()
			f.enqueue(sms("c"))
			select {
			case <-seen:
			case <-time.After(20 * time.Second):
				t.Fatal("nothing was delivered")
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("delivered after %s, want about a second", d)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v, want nil at the end", err)
		}
		if n := f.count("deliveries WHERE state = 'accepted'"); n != 3 {
			t.Errorf("%d recorded, want 3: an ending node records what it handed over", n)
		}
	})
}

func TestALeavingNodeGivesItsMessagesBack(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, stop := context.WithCancel(t.Context())
		f.sender.answer = func(int) error { stop(); return context.Canceled }
		f.enqueue(sms("c"))
		if _, err := f.work(ctx, SMS); err != nil {
			t.Fatal(err)
		}
		f.sender.answer = nil
		f.works(1)
	})
}

func TestOldest(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.enqueue(sms("c"))
		databasetest.Shift(t, f.db, time.Hour)
		f.enqueue(sms("c"))
		ages, err := f.Oldest(t.Context())
		if err != nil || ages[SMS] < time.Hour || ages[SMS] > time.Hour+time.Minute || len(ages) != 1 {
			t.Errorf("Oldest = %v, %v, want an hour for sms", ages, err)
		}
	})
}

func TestPause(t *testing.T) {
	t.Parallel()
	o := &Outbox{policy: DefaultPolicy()}
	for attempts, want := range map[int]time.Duration{0: 5 * time.Second, 1: 5 * time.Second, 2: 10 * time.Second, 5: 80 * time.Second, 11: time.Hour, 500: time.Hour} {
		for range 20 {
			if got := o.pause(attempts); got < want/2 || got > want*3/2 {
				t.Errorf("pause(%d) = %s, want %s give or take half", attempts, got, want)
			}
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	m := sms("c")
	l := Letter{To: NewRecipient(number), Body: NewText(half)}
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "to", m.To, "words", m.Words, "body", l.Body)
	fmt.Fprintf(&b, "%v %+v %#v %s %q %v %+v", m, m, m.To, m.Words, m.Words, l, l)
	fmt.Fprintf(&b, "%#v %#v %x %d", m.Words, l.Body, m.Words, m.Words)
	if s := b.String(); strings.Contains(s, half) || strings.Contains(s, number) || strings.Contains(s, hex.EncodeToString([]byte(half))) {
		t.Errorf("printed: %s", s)
	}
	for _, v := range []any{m.To, m.Words, l.Body, m, l} {
		if _, err := json.Marshal(v); err == nil {
			t.Errorf("%T is encoded", v)
		}
	}
}
