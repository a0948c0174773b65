package credentials

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"ente.example/idp/database"
)

// Cost is what one Argon2id hash takes.
type Cost struct {
	Memory  uint32 `json:"memory"` // KiB
	Passes  uint32 `json:"passes"`
	Threads uint8  `json:"threads"`
}

// FloorCost is the least that a public installation may use, and the default
// (security §4).
func FloorCost() Cost { return Cost{Memory: 47104, Passes: 1, Threads: 1} }

func (c Cost) valid() bool {
	return c.Passes > 0 && c.Threads > 0 && c.Memory >= 8*uint32(c.Threads)
}

// Weaker reports whether c asks less of a guesser than o.
func (c Cost) Weaker(o Cost) bool {
	return uint64(c.Memory)*uint64(c.Passes) < uint64(o.Memory)*uint64(o.Passes)
}

// HasherDeps are what a Hasher is made of.
type HasherDeps struct {
	DB *database.DB
	// Cost, when it is not zero, becomes the installation's cost. Zero keeps
	// what the installation has, at first FloorCost.
	Cost Cost
	// Workers hashes run at once, as many as this process has processors when
	// zero; Queue more may wait, 32 for each worker when zero.
	Workers, Queue int
	// Program is this program, for hashes to run in processes of their own: it
	// is started as "Program hash-apart" and has to call HashApart. Without it
	// hashes run in this process, and where it cannot be started.
	Program string
	Logger  *slog.Logger
}

// Hasher runs Argon2id, so many at a time: each takes tens of megabytes and a
// whole processor. The cost is one for the whole installation and lives in the
// database, so that a person known and one unknown cost the same on every node.
type Hasher struct {
	db      *database.DB
	wanted  Cost
	slots   chan struct{}
	limit   int64 // of those inside, running or waiting
	inside  atomic.Int64
	waiting atomic.Int64
	last    atomic.Int64 // duration of the latest hash
	apart   *apart       // nil: hashes run in this process

	mu     sync.Mutex
	cost   Cost
	readAt time.Time
}

// NewHasher makes a Hasher.
func NewHasher(d HasherDeps) (*Hasher, error) {
	if d.DB == nil {
		return nil, errors.New("credentials: the hasher needs DB")
	}
	if d.Cost != (Cost{}) && !d.Cost.valid() {
		return nil, errors.New("credentials: this is no cost of Argon2id")
	}
	if d.Workers <= 0 {
		d.Workers = runtime.GOMAXPROCS(0) // knows of a container's quota
	}
	if d.Queue <= 0 {
		d.Queue = 32 * d.Workers
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Hasher{db: d.DB, wanted: d.Cost, slots: make(chan struct{}, d.Workers), limit: int64(d.Workers + d.Queue)}
	if d.Program != "" && !Measuring {
		h.apart = &apart{program: d.Program, rest: rest, log: d.Logger}
	}
	return h, nil
}

// Close ends the processes that hash. Whatever is hashed later is hashed here.
func (h *Hasher) Close() {
	if h.apart != nil {
		h.apart.close()
	}
}

// Waiting is how many verifications wait for a processor, for the metrics.
func (h *Hasher) Waiting() int { return int(h.waiting.Load()) }

// place is the right to hash. Taking it first means that nobody's try is
// counted and then turned away because the node is busy.
type place struct {
	h    *Hasher
	once sync.Once
}

func (h *Hasher) enter() (*place, error) {
	if n := h.inside.Add(1); n > h.limit {
		h.inside.Add(-1)
		return nil, h.busy()
	}
	return &place{h: h}, nil
}

// busy tells to come again when all that are inside have been served.
func (h *Hasher) busy() *BusyError {
	rounds := h.limit/int64(cap(h.slots)) + 1
	return &BusyError{RetryAfter: max(time.Second, time.Duration(rounds*h.last.Load()).Round(time.Second))}
}

// Crowded is a *BusyError while half the queue for a processor is full: the other
// half is for those who have a page before them already, and would be turned away
// with their PIN typed if ever more began.
func (h *Hasher) Crowded() error {
	if 2*h.waiting.Load() < h.limit-int64(cap(h.slots)) {
		return nil
	}
	return h.busy()
}

func (p *place) leave() { p.once.Do(func() { p.h.inside.Add(-1) }) }

var errHashInTransaction = errors.New("a PIN is not hashed inside a transaction")

func (p *place) argon2(ctx context.Context, cost Cost, secret, salt []byte) ([]byte, error) {
	if database.Inside(ctx) {
		return nil, errHashInTransaction
	}
	p.h.waiting.Add(1)
	select {
	case p.h.slots <- struct{}{}:
		p.h.waiting.Add(-1)
	case <-ctx.Done():
		p.h.waiting.Add(-1)
		return nil, fmt.Errorf("wait for a processor: %w", ctx.Err())
	}
	defer func() { <-p.h.slots }()
	start := time.Now()
	sum, err := p.h.stretch(ctx, secret, salt, cost)
	if err != nil {
		return nil, fmt.Errorf("hash a PIN: %w", err)
	}
	p.h.last.Store(int64(time.Since(start)))
	return sum, nil
}

func (h *Hasher) stretch(ctx context.Context, secret, salt []byte, cost Cost) ([]byte, error) {
	if h.apart != nil {
		sum, err := h.apart.stretch(ctx, secret, salt, cost)
		if !errors.Is(err, errApart) {
			return sum, err
		}
	}
	return stretch(secret, salt, cost), nil
}

// fresh is how long a node may go on with a cost that another has changed.
const fresh = 30 * time.Second

// Cost is the installation's cost.
func (h *Hasher) Cost(ctx context.Context) (Cost, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.readAt.IsZero() && time.Since(h.readAt) < fresh {
		return h.cost, nil
	}
	cost, err := h.read(ctx)
	if err != nil {
		return Cost{}, fmt.Errorf("read the cost of a hash: %w", err)
	}
	h.cost, h.readAt = cost, time.Now()
	return cost, nil
}
