package throttle

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/secrets"
)

func guard(t *testing.T, db *database.DB, p Policy) *Guard {
	t.Helper()
	ring, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(Deps{DB: db, Key: ring.PRF(secrets.Throttle), Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

type try func(ctx context.Context, key []byte) (Guess, error)

func must(t *testing.T, reserve try, key string) Guess {
	t.Helper()
	g, err := reserve(t.Context(), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// R33: strangers meet the very same rule, to the second.
func TestR30R31(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := guard(t, db, DefaultPolicy())
		// both people live through the same hours, since the clock is one
		both := map[string]try{"person": g.Reserve, "stranger": g.ReserveShadow}
		step := func(rule string, refused, waits bool) {
			t.Helper()
			for who, reserve := range both {
				got := must(t, reserve, "somebody")
				if got.Refused() != refused || got.Until.IsZero() == waits {
					t.Errorf("%s, %s: refused %v until %v, want refused %v and a wait %v", rule, who, got.Refused(), got.Until, refused, waits)
				}
			}
		}
		shift := func(d time.Duration) { databasetest.Shift(t, db, d) }
		for n := 1; n <= 9; n++ {
			step(fmt.Sprintf("R30 try %d", n), false, false)
		}
		step("R30 the tenth is looked at and starts a wait", false, true)
		step("R31a at once", true, true)
		shift(4*time.Minute + 58*time.Second)
		step("R31a at 4:58", true, true)
		shift(2 * time.Second)
		step("R31b at 5:00 exactly one", false, true)
		step("R31b and no second", true, true)
		shift(4*time.Minute + 58*time.Second)
		step("R31a at 9:58", true, true)
		shift(2 * time.Second)
		step("R31b at 10:00", false, true)
	})
}

func TestR31RightPINClearsAndRestartDoesNot(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		g, ctx := guard(t, a, DefaultPolicy()), t.Context()
		for range 10 {
			must(t, g.Reserve, "p")
		}
		other := guard(t, b, DefaultPolicy()) // another node, and another start
		if got := must(t, other.Reserve, "p"); !got.Refused() {
			t.Error("a wait does not survive a restart")
		}
		if until, waits, err := other.Until(ctx, []byte("p")); err != nil || !waits || time.Until(until) > 5*time.Minute {
			t.Errorf("Until = %v, %v, %v, want a wait of up to five minutes", until, waits, err)
		}
		if err := a.InTx(ctx, func(ctx context.Context) error { return g.Forgive(ctx, []byte("p")) }); err != nil {
			t.Fatal(err)
		}
		if got := must(t, g.Reserve, "p"); got.Refused() || got.Fails != 1 {
			t.Errorf("after a right PIN: refused %v, fails %d, want a first try", got.Refused(), got.Fails)
		}
	})
}

// Who must be allowed to have wrong tries forgiven, and is not, has them still.
func TestMustForgive(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g, missing := guard(t, db, DefaultPolicy()), errors.New("not allowed")
		must(t, g.Reserve, "p")
		for _, row := range []struct {
			key     string
			allowed int
			want    error
			fails   int
		}{{"p", 0, missing, 2}, {"nobody", 1, missing, 3}, {"p", 1, nil, 1}} {
			err := db.InTx(t.Context(), func(ctx context.Context) error {
				return g.MustForgive(ctx, []byte(row.key), database.Subquery{Text: "SELECT 1 WHERE 1 = ?", Args: []any{row.allowed}}, missing)
			})
			if got := must(t, g.Reserve, "p"); !errors.Is(err, row.want) || got.Fails != row.fails {
				t.Errorf("%+v: %v, and then the try %d in a row", row, err, got.Fails)
			}
		}
	})
}

func TestR31ParallelTriesOnTwoNodes(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		nodes := []*Guard{guard(t, a, DefaultPolicy()), guard(t, b, DefaultPolicy())}
		burst := func(n int) (evaluated int64) {
			var count, faults atomic.Int64
			databasetest.Barrier(n, func(i int) {
				got, err := nodes[i%2].Reserve(context.Background(), []byte("p"))
				if err != nil {
					faults.Add(1)
				} else if !got.Refused() {
					count.Add(1)
				}
			})
			if n := faults.Load(); n > 0 {
				t.Errorf("%d tries could not be reserved", n)
			}
			return count.Load()
		}
		if got := burst(1000); got != 10 {
			t.Errorf("%d of 1000 parallel tries evaluated, want 10", got)
		}
		databasetest.Shift(t, a, 5*time.Minute+time.Second)
		if got := burst(200); got != 1 {
			t.Errorf("%d of 200 parallel tries evaluated after the wait, want 1", got)
		}
	})
}

func TestReserveRefusesATransaction(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := guard(t, db, DefaultPolicy())
		err := db.InTx(t.Context(), func(ctx context.Context) error {
			_, err := g.Reserve(ctx, []byte("p"))
			return err
		})
		if !errors.Is(err, ErrInTransaction) {
			t.Errorf("Reserve in a transaction: %v, want ErrInTransaction", err)
		}
	})
}

func TestReserveIsOneStatement(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := guard(t, db, DefaultPolicy())
		for range 11 { // new, known, tenth and waiting
			for _, reserve := range []try{g.Reserve, g.ReserveShadow} {
				c := databasetest.Count(t, db)
				must(t, reserve, "p")
				if got := len(c.Statements()); got != 1 {
					t.Fatalf("%d statements, want 1: %q", got, c.Statements())
				}
			}
		}
	})
}

func TestStrangersDoNotPileUp(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		p := DefaultPolicy()
		p.ShadowCap = 20
		g := guard(t, db, p)
		must(t, g.Reserve, "a person")
		for i := range 50 {
			must(t, g.ReserveShadow, fmt.Sprint("stranger ", i))
		}
		sweep := func(want Swept) {
			t.Helper()
			if got, err := g.Sweep(t.Context()); err != nil || got != want {
				t.Errorf("Sweep = %+v, %v, want %+v", got, err, want)
			}
		}
		sweep(Swept{Crowded: 30})
		if got := must(t, g.ReserveShadow, "stranger 49"); got.Fails != 2 {
			t.Errorf("the newest stranger has %d fails, want 2: the oldest go first", got.Fails)
		}
		databasetest.Shift(t, db, p.ShadowTTL-time.Hour)
		must(t, g.ReserveShadow, "stranger 48")
		databasetest.Shift(t, db, 2*time.Hour)
		sweep(Swept{Expired: 19})
		databasetest.Shift(t, db, 400*24*time.Hour)
		sweep(Swept{Expired: 1})
		if got := must(t, g.Reserve, "a person"); got.Fails != 2 {
			t.Errorf("a person has %d fails, want 2: people's counters stay", got.Fails)
		}
	})
}

// A key rotation must not forgive anybody, and a table of tries must not tell
// whose fiscal codes were tried.
func TestKeys(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g, rotated := guard(t, db, DefaultPolicy()), guard(t, db, DefaultPolicy())
		must(t, g.Reserve, "p")
		if got := must(t, rotated.Reserve, "p"); got.Fails != 2 {
			t.Errorf("a person has %d fails under other keys, want 2", got.Fails)
		}
		must(t, g.ReserveShadow, "p")
		if got := must(t, g.ReserveShadow, "p"); got.Fails != 2 {
			t.Errorf("a stranger of the same key has %d fails, want 2 of his own", got.Fails)
		}
		if a, err := g.shadow([]byte("p")); err != nil || string(a) == "s:p" || len(a) != 34 {
			t.Errorf("a stranger is keyed as %q, %v, want an HMAC", a, err)
		}
	})
}

func TestNew(t *testing.T) {
	t.Parallel()
	if _, err := New(Deps{}); err == nil {
		t.Error("New without a database succeeds")
	}
}

// A right try of a stranger is taken back, and nothing else with it: not the
// wrong ones before, and not the wait that another has begun meanwhile.
func TestTakeBack(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g := guard(t, db, Policy{Threshold: 3, Wait: time.Minute, ShadowTTL: time.Hour, ShadowCap: 10})
		right := func() {
			t.Helper()
			if got := must(t, g.ReserveShadow, "x"); got.Refused() {
				t.Fatal("a right try is refused")
			}
			if err := g.TakeBackShadow(t.Context(), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			right()
		}
		must(t, g.ReserveShadow, "x")
		must(t, g.ReserveShadow, "x")
		right() // the third in a row, for as long as it is not known for right
		if got := must(t, g.ReserveShadow, "x"); got.Refused() || got.Fails != 3 {
			t.Errorf("the third wrong one: refused %t, %d fails", got.Refused(), got.Fails)
		}
		if got := must(t, g.ReserveShadow, "x"); !got.Refused() {
			t.Error("no wait after three wrong ones")
		}
		databasetest.Shift(t, db, 61*time.Second)
		right()
		if err := g.TakeBackShadow(t.Context(), []byte("nobody")); err != nil {
			t.Error(err)
		}
		databasetest.Shift(t, db, 2*time.Minute)
		if list, err := g.Alarms(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("alarms: %v, %v", list, err)
		}
	})
}

// Counting is the same try, at whoever the database finds: a person by the key
// that it looks up, a stranger where it finds none.
func TestCountingCountsWhomTheDatabaseFinds(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		g, stranger := guard(t, db, DefaultPolicy()), []byte("stranger")
		count := func(person any) *Counted {
			t.Helper()
			who := database.Subquery{Text: "SELECT v.id FROM (SELECT CAST(? AS text) AS id) AS v WHERE v.id IS NOT NULL", Args: []any{person}}
			counted, read, err := g.Counting(t.Context(), who, stranger)
			if err == nil {
				err = db.Writer(t.Context()).Together(read)
			}
			if err != nil {
				t.Fatal(err)
			}
			return counted
		}
		must(t, g.Reserve, "p")
		if got, err := count("p").Guess([]byte("p")); err != nil || got.Fails != 2 || got.At.IsZero() {
			t.Errorf("a person: %v, %v, want the second try", got, err)
		}
		must(t, g.ReserveShadow, "stranger")
		if got, err := count(nil).Guess(nil); err != nil || got.Fails != 2 {
			t.Errorf("a stranger: %v, %v, want the second try", got, err)
		}
		for who, key := range map[string][]byte{"another": []byte("q"), "nobody": nil} {
			if _, err := count("p").Guess(key); !errors.Is(err, ErrElsewhere) {
				t.Errorf("held against %s: %v, want ErrElsewhere", who, err)
			}
		}
		if _, err := count(nil).Guess([]byte("p")); !errors.Is(err, ErrElsewhere) {
			t.Errorf("a stranger's held against a person: %v, want ErrElsewhere", err)
		}
		err := db.InTx(t.Context(), func(ctx context.Context) error {
			_, _, err := g.Counting(ctx, database.Subquery{Text: "SELECT NULL"}, stranger)
			return err
		})
		if !errors.Is(err, ErrInTransaction) {
			t.Errorf("in a transaction: %v, want ErrInTransaction", err)
		}
	})
}
