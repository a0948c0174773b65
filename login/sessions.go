package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/database"
)

// ErrNoSession says that there is no live session: no cookie, an unknown one,
// or a session that was ended or has lain idle too long.
var ErrNoSession = errors.New("no session")

// Why a session ends, as the audit and the Ended hook see it.
const (
	EndSignOut  = "sign-out"
	EndReplaced = "replaced" // another person signed in on this browser
	EndExpired  = "expired"
	// EndPINChanged: the citizen has changed the PIN in another browser.
	EndPINChanged = "pin-changed"
)

// Policy is how long a session lives.
type Policy struct {
	Idle     time.Duration // without a request; 30 minutes unless set
	Absolute time.Duration // since the PIN was typed; 8 hours unless set
}

func (p Policy) orDefault() Policy {
	if p.Idle <= 0 {
		p.Idle = 30 * time.Minute
	}
	if p.Absolute <= 0 {
		p.Absolute = 8 * time.Hour
	}
	return p
}

// Session is a citizen who is signed in, in one browser.
type Session struct {
	ID       SessionID
	Citizen  citizens.ID
	AuthTime time.Time // when the PIN was last typed
	ACR      string
	AMR      []string
	Kind     credentials.Kind // of the PIN
	SeenAt   time.Time        // the last request
	IdleAt   time.Time        // it ends then, unless something is done before,
	EndsAt   time.Time        // and then in any case
	Now      time.Time        // the database's clock when Get read it

	// Change is the voluntary change of PIN that is open here, or empty. It may
	// have expired since.
	Change credentials.ChangeID

	// PreviousAccess is the access before this one; nil if this is the first.
	PreviousAccess *time.Time
}

// Cookie is the value of the session cookie. Only the browser keeps it.
type Cookie struct{ secret string }

// String, GoString and the like keep the secret out of logs and errors.
func (Cookie) String() string { return "[session cookie]" }

// GoString implements fmt.GoStringer.
func (Cookie) GoString() string { return "[session cookie]" }

// MarshalJSON refuses: a cookie is never encoded.
func (Cookie) MarshalJSON() ([]byte, error) {
	return nil, errors.New("a session cookie is never encoded")
}

// Reveal is the secret, for the Set-Cookie header and nothing else.
func (c Cookie) Reveal() string { return c.secret }

// SignIn is what a right PIN (and later a second factor) begins a session with.
type SignIn struct {
	Browser        string // the browser cookie
	Client         string // the service it was for, empty if none
	Citizen        citizens.ID
	ACR            string
	AMR            []string
	Kind           credentials.Kind
	PreviousAccess *time.Time
}

// SessionsDeps is what Sessions needs.
type SessionsDeps struct {
	DB     *database.DB
	Audit  *audit.Log
	Policy Policy
	// Ended is called in the transaction that ends a session, for what lives
	// above: its grants. nil: nothing depends on sessions.
	Ended func(ctx context.Context, sid string, reason string) error
}

// Sessions keeps who is signed in. A browser has one session at most.
type Sessions struct {
	db    *database.DB
	audit *audit.Log
	store sessionStore
	ended func(ctx context.Context, sid string, reason string) error
}

// NewSessions returns the sessions of d.DB.
func NewSessions(d SessionsDeps) (*Sessions, error) {
	if d.DB == nil || d.Audit == nil {
		return nil, errors.New("login: sessions need a database and the audit")
	}
	if d.Ended == nil {
		d.Ended = func(context.Context, string, string) error { return nil }
	}
	return &Sessions{d.DB, d.Audit, sessionStore{d.DB, d.Policy.orDefault()}, d.Ended}, nil
}

// Start signs a citizen in and returns the cookie's new secret; the browser's
// old one is dead from here on. The same citizen's session is renewed and
// keeps its id, so that the services in it stay signed in, but not a change of
// PIN; anybody else's ends.
func (n *Sessions) Start(ctx context.Context, by audit.Actor, in SignIn) (Session, Cookie, error) {
	if in.Browser == "" || in.Citizen == "" {
		return Session{}, Cookie{}, errors.New("start session: browser and citizen are required")
	}
	cookie := Cookie{newSecret()}
	var s Session
	err := n.db.InTx(ctx, func(ctx context.Context) (err error) {
		if s, err = n.start(ctx, in, cookie); err != nil {
			return err
		}
		return n.audit.Record(ctx, audit.Event{
			Type: audit.SessionStarted, Outcome: audit.Succeeded, Actor: by, Subject: in.Citizen,
			Client: in.Client, Session: string(s.ID),
		})
	})
	if err != nil {
		return Session{}, Cookie{}, fmt.Errorf("start session: %w", err)
	}
	return s, cookie, nil
}

// start renews or inserts. Where the browser has a session that is neither, it
// ends first; another tab's, committed meanwhile, sends it round once more.
func (n *Sessions) start(ctx context.Context, in SignIn, cookie Cookie) (Session, error) {
	for {
		s, done, err := n.store.begin(ctx, in, cookie)
		if err != nil || done {
			return s, err
		}
		if err := n.endAll(ctx, EndReplaced, n.store.byBrowser(in.Browser)); err != nil {
			return Session{}, err
		}
	}
}

// Get returns the live session of a cookie, with one read and no write. Reading
// is no activity: a page that counts as such calls Touch. What else is to be
// read goes with it, in one round trip.
func (n *Sessions) Get(ctx context.Context, cookie string, others ...database.Query) (Session, error) {
	if cookie == "" {
		return Session{}, ErrNoSession
	}
	s, found, err := n.store.get(ctx, cookie, others)
	if err != nil {
		return Session{}, fmt.Errorf("get session: %w", err)
	}
	if !found {
		return Session{}, ErrNoSession
	}
	return s, nil
}

// Idle is how long a session lives without activity.
func (n *Sessions) Idle() time.Duration { return n.store.policy.Idle }

// lately is how old what is known of a session's activity may be: several
// requests of one sign-in are one activity, and one write. A session may so end
// this much sooner than its idle time after the last request, never later.
const lately = 10 * time.Second

func (s Session) noted() bool { return s.Now.Sub(s.SeenAt) < lately }

// Touch notes activity, which puts the idle end off. In the caller's transaction
// it also holds the session: an end that comes at the same time waits, and then
// finds what that transaction wrote. What was noted lately, when s was read, is
// only held. A session that is over is ErrNoSession, in a transaction with the
// next statement or the commit.
func (n *Sessions) Touch(ctx context.Context, s Session) error {
	note := n.store.touch
	if s.noted() {
		note = n.store.hold
	}
	if err := note(ctx, s.ID); err != nil {
		return fmt.Errorf("touch session: %w", err)
	}
	return nil
}

// KeepChange binds a voluntary change of PIN to s, in the place of any other, in
// the transaction that began it. A session that is over is ErrNoSession.
func (n *Sessions) KeepChange(ctx context.Context, s Session, id credentials.ChangeID) error {
	kept, err := n.store.keepChange(ctx, s.ID, id)
	if err != nil {
		return fmt.Errorf("keep a change of PIN: %w", err)
	}
	if !kept {
		return ErrNoSession
	}
	return nil
}

// DropChange unbinds s.Change, unless another has taken its place.
func (n *Sessions) DropChange(ctx context.Context, s Session) error {
	if err := n.store.dropChange(ctx, s.ID, s.Change); err != nil {
		return fmt.Errorf("drop a change of PIN: %w", err)
	}
	return nil
}

// End ends one session, with what hangs on it. Ending it twice is no error.
func (n *Sessions) End(ctx context.Context, by audit.Actor, s Session, reason string) error {
	if err := n.endBy(ctx, by, reason, n.store.byID(s.ID)); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// EndCitizen ends every session of a citizen, in the transaction that took
// the PIN away; that one's event says who did it.
func (n *Sessions) EndCitizen(ctx context.Context, id citizens.ID, reason string) error {
	if err := n.endAll(ctx, reason, n.store.byCitizen(id)); err != nil {
		return fmt.Errorf("end the citizen's sessions: %w", err)
	}
	return nil
}

// EndElsewhere ends every session of a citizen but that of the browser in which
// this change of PIN is made, in the transaction that makes it: whoever has
// learnt the old PIN is out, and so is who left a session behind somewhere.
func (n *Sessions) EndElsewhere(ctx context.Context, id citizens.ID, change credentials.ChangeID) error {
	if err := n.endAll(ctx, EndPINChanged, n.store.elsewhere(id, change)); err != nil {
		return fmt.Errorf("end the citizen's other sessions: %w", err)
	}
	return nil
}

// EndIfOver ends a session whose time has run out, with all that hangs on it,
// and says when to look again at one that goes on. Nobody needs to call it for
// the session to be over: it is for those who want to hear of it (R55).
func (n *Sessions) EndIfOver(ctx context.Context, id SessionID) (again time.Time, ended bool, err error) {
	if err := n.endAll(ctx, EndExpired, n.store.over(id)); err != nil {
		return time.Time{}, false, fmt.Errorf("end a session that is over: %w", err)
	}
	again, found, err := n.store.idleAt(ctx, id)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("look at a session: %w", err)
	}
	return again, !found, nil
}

// Sweep ends a batch of sessions past their absolute end, deletes a batch of
// those long ended, and reports how many rows it handled.
func (n *Sessions) Sweep(ctx context.Context) (int, error) {
	expired, err := n.store.expired(ctx)
	if err != nil {
		return 0, fmt.Errorf("sweep sessions: %w", err)
	}
	for _, id := range expired {
		if err := n.endAll(ctx, EndExpired, n.store.byID(id)); err != nil {
			return 0, fmt.Errorf("sweep sessions: %w", err)
		}
	}
	gone, err := n.store.sweep(ctx)
	if err != nil {
		return 0, fmt.Errorf("sweep sessions: %w", err)
	}
	return len(expired) + gone, nil
}

func (n *Sessions) endAll(ctx context.Context, reason string, which condition) error {
	return n.endBy(ctx, audit.Actor{Kind: audit.System}, reason, which)
}

// endBy ends the sessions that which selects, tells the hook of each and
// records it, all in one transaction.
func (n *Sessions) endBy(ctx context.Context, by audit.Actor, reason string, which condition) error {
	return n.db.InTx(ctx, func(ctx context.Context) error {
		ended, err := n.store.end(ctx, reason, which)
		if err != nil || len(ended) == 0 {
			return err
		}
		events := make([]audit.Event, len(ended))
		for i, s := range ended {
			if err := n.ended(ctx, string(s.ID), reason); err != nil {
				return fmt.Errorf("end what hangs on the session: %w", err)
			}
			events[i] = audit.Event{
				Type: audit.SessionEnded, Outcome: audit.Succeeded, Actor: by, Subject: s.Citizen,
				Session: string(s.ID), Reason: reason,
			}
		}
		return n.audit.Record(ctx, events...)
	})
}
