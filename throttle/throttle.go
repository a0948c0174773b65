// Package throttle says how many PINs anyone may try: ten wrong ones in a row,
// then one every five minutes, per person (pin-rules R30, R31). And it makes
// and checks the captcha that stands before the procedures (R54).
//
// A try is counted before anybody looks whether it is right, in a commit of its
// own, and taken back when it was: so however many tries arrive at once, on
// however many nodes, no more are looked at than the rule allows, and a crash
// in between costs a try instead of giving one away.
//
// It owns the tables pin_throttle and captchas, and knows the database and
// nothing else of ours. What a key stands for is the caller's business.
package throttle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/prf"

	"ente.example/idp/database"
)

// Policy is the rule's figures.
type Policy struct {
	// Threshold is the number of wrong tries in a row that starts a wait, and
	// Wait how long that is. Each further wrong try costs another Wait.
	Threshold int
	Wait      time.Duration
	// ShadowTTL is how long a stranger's counter is kept after its last try,
	// ShadowCap how many such counters are kept at all.
	ShadowTTL time.Duration
	ShadowCap int
}

// DefaultPolicy is pin-rules §0.2 and security §5.2.
func DefaultPolicy() Policy {
	return Policy{Threshold: 10, Wait: 5 * time.Minute, ShadowTTL: 30 * 24 * time.Hour, ShadowCap: 1_000_000}
}

func (p Policy) valid() bool {
	return p.Threshold > 0 && p.Wait > 0 && p.ShadowTTL > 0 && p.ShadowCap > 0
}

// Deps are what a Guard is made of.
type Deps struct {
	DB     *database.DB
	Key    *prf.Set // keys strangers' counters, so that the table names nobody
	Policy Policy
}

// Guard counts tries.
type Guard struct {
	store  store
	key    *prf.Set
	policy Policy
}

// New makes a Guard.
func New(d Deps) (*Guard, error) {
	if d.DB == nil || d.Key == nil {
		return nil, errors.New("throttle: DB and Key are needed")
	}
	if !d.Policy.valid() {
		return nil, errors.New("throttle: every figure of the policy must be positive")
	}
	return &Guard{store: store{db: d.DB}, key: d.Key, policy: d.Policy}, nil
}

// Guess is one try, counted already.
type Guess struct {
	// Fails is how many tries have failed in a row, this one taken for wrong.
	Fails int
	// Until is the end of the wait that a wrong try starts, or that runs
	// already; zero where there is none.
	Until time.Time
	// At is the database's time of the try.
	At time.Time

	refused bool
}

// Refused reports that a wait runs: the try must not be looked at, and has
// been neither counted nor made the wait longer.
func (g Guess) Refused() bool { return g.refused }

// Reserve counts a try at the person that key names, before it is evaluated.
// It must not be called inside a transaction, whose rollback would give the
// try back.
func (g *Guard) Reserve(ctx context.Context, key []byte) (Guess, error) {
	return g.reserve(ctx, known(key), nil)
}

// ReserveShadow counts a try at somebody unknown, who must look the same as
// everybody else: same statement, same rule, but the counter expires.
func (g *Guard) ReserveShadow(ctx context.Context, key []byte) (Guess, error) {
	k, err := g.shadow(key)
	if err != nil {
		return Guess{}, err
	}
	return g.reserve(ctx, nil, k)
}

// Counted is a try that a statement of ours counts, once it has been answered.
type Counted struct {
	guess Guess
	key   []byte
}

// Guess is the try, if it was counted at the person that key names, or at a
// stranger where key is nil. ErrElsewhere says that it was not.
func (c *Counted) Guess(key []byte) (Guess, error) {
	if key != nil && !bytes.Equal(c.key, known(key)) || key == nil && !bytes.HasPrefix(c.key, []byte(unnamed)) {
		return Guess{}, ErrElsewhere
	}
	return c.guess, nil
}

// ErrElsewhere says that a try was counted at somebody else than it is held
// against: who that is has changed in between.
var ErrElsewhere = errors.New("throttle: a try was counted at somebody else")

// Counting is Reserve as a statement to be sent with others, of whoever it is
// whose key the database finds as a text, and where it finds nobody,
// ReserveShadow of stranger. The same must be true of it: it must be sent with
// nothing whose rollback would give the try back.
func (g *Guard) Counting(ctx context.Context, person database.Subquery, stranger []byte) (*Counted, database.Query, error) {
	if database.Inside(ctx) {
		return nil, database.Query{}, ErrInTransaction
	}
	k, err := g.shadow(stranger)
	if err != nil {
		return nil, database.Query{}, err
	}
	c, read := g.store.counting(g.store.found(person), k, g.policy)
	return c, read, nil
}

// TakeBackShadow uncounts one try at somebody unknown that was right. The wrong
// ones before it stay: a right one must not wash another's wrong ones away.
func (g *Guard) TakeBackShadow(ctx context.Context, key []byte) error {
	k, err := g.shadow(key)
	if err != nil {
		return err
	}
	if err := g.store.takeBack(ctx, k, g.policy); err != nil {
		return fmt.Errorf("take a try back: %w", err)
	}
	return nil
}

// ErrInTransaction says that a try was reserved where a rollback could undo it.
var ErrInTransaction = errors.New("throttle: a try cannot be reserved inside a transaction")

func (g *Guard) reserve(ctx context.Context, person, stranger []byte) (Guess, error) {
	if database.Inside(ctx) {
		return Guess{}, ErrInTransaction
	}
	guess, err := g.store.reserve(ctx, g.store.this(person), stranger, g.policy)
	if err != nil {
		return Guess{}, fmt.Errorf("reserve a try: %w", err)
	}
	return guess, nil
}

// Forgive forgets a person's wrong tries, after a right one. It belongs into
// the transaction that records the right one.
func (g *Guard) Forgive(ctx context.Context, key []byte) error {
	if err := g.store.forgive(ctx, known(key), g.policy); err != nil {
		return fmt.Errorf("forgive wrong tries: %w", err)
	}
	return nil
}

// MustForgive is Forgive for a transaction that is void with the error missing
// where nobody's counter is there or allowed finds no row. It is looked up when
// what the transaction sent before has been done.
func (g *Guard) MustForgive(ctx context.Context, key []byte, allowed database.Subquery, missing error) error {
	if err := g.store.mustForgive(ctx, known(key), g.policy, allowed, missing); err != nil {
		return fmt.Errorf("forgive wrong tries: %w", err)
	}
	return nil
}

// Until reports when a person's wait ends, if one runs.
func (g *Guard) Until(ctx context.Context, key []byte) (time.Time, bool, error) {
	until, err := g.store.until(ctx, known(key))
	if err != nil {
		return time.Time{}, false, fmt.Errorf("read a wait: %w", err)
	}
	return until, !until.IsZero(), nil
}

// An Alarm says that a person's wrong tries have come to a wait.
type Alarm struct {
	Key []byte
	At  time.Time
}

// Alarms lists some people whose wrong tries have come to a wait half a minute
// ago or longer, and nobody has said so yet. One more wrong try raises no
// further alarm; a right one in between allows the next.
func (g *Guard) Alarms(ctx context.Context) ([]Alarm, error) {
	rows, err := g.store.alarms(ctx)
	if err != nil {
		return nil, fmt.Errorf("list alarms: %w", err)
	}
	list := make([]Alarm, 0, len(rows))
	for _, r := range rows {
		list = append(list, Alarm{Key: bytes.TrimPrefix(r.Key, known(nil)), At: r.AlarmAt.Time})
	}
	return list, nil
}

// Silence takes an alarm, in the transaction of whoever answers it and at its
// end, so that the person's next try waits for nobody. It is true for one
// caller.
func (g *Guard) Silence(ctx context.Context, key []byte) (bool, error) {
	taken, err := g.store.silence(ctx, known(key))
	if err != nil {
		return false, fmt.Errorf("take an alarm: %w", err)
	}
	return taken, nil
}

// Swept is what one Sweep removed.
type Swept struct{ Expired, Crowded int }

// Sweep forgets strangers' alarms and removes their counters whose time has
// come, and the oldest ones beyond the cap: tries at made-up people must not fill the disk. It works in
// small batches, and any number of nodes may run it at once.
func (g *Guard) Sweep(ctx context.Context) (Swept, error) {
	var s Swept
	for {
		n, err := g.store.deleteExpired(ctx)
		s.Expired += n
		if err != nil {
			return s, fmt.Errorf("remove expired counters: %w", err)
		}
		if n < batch {
			break
		}
	}
	for n := batch; n == batch; {
		var err error
		if n, err = g.store.silenceStrangers(ctx); err != nil {
			return s, fmt.Errorf("forget strangers' alarms: %w", err)
		}
	}
	n, err := g.crowd(ctx)
	s.Crowded = n
	return s, err
}

func (g *Guard) crowd(ctx context.Context) (removed int, err error) {
	count, err := g.store.countShadows(ctx)
	for over := count - g.policy.ShadowCap; err == nil && over > 0; over -= batch {
		var n int
		n, err = g.store.deleteOldest(ctx, min(over, batch))
		removed += n
		if n == 0 {
			break
		}
	}
	if err != nil {
		return removed, fmt.Errorf("remove counters beyond the cap: %w", err)
	}
	return removed, nil
}

// known and shadow keep the two kinds of keys apart, whatever they contain. A
// person's key is no secret and must outlive any rotation of keys; a
// stranger's would tell which fiscal codes were tried.
func known(key []byte) []byte { return append([]byte(personal), key...) }

const (
	personal = "p:"
	unnamed  = "s:"
)

func (g *Guard) shadow(key []byte) ([]byte, error) {
	sum, err := g.key.ComputePrimaryPRF(append([]byte("throttle/stranger/v1\x00"), key...), 32)
	if err != nil {
		return nil, fmt.Errorf("key a stranger's counter: %w", err)
	}
	return append([]byte(unnamed), sum...), nil
}
