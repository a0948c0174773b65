package login

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"ente.example/idp/credentials"
	"ente.example/idp/database"
)

// How long an interaction lives, how many of them one browser may have open,
// and how long an ended one still answers with the way back to its service.
const (
	interactionLife = 60 * time.Minute
	openPerBrowser  = 20
	tombstoneLife   = 24 * time.Hour
	sweepBatch      = 500
	servicePrefix   = "/authorize/"
	ownPrefix       = AreaPath + "/enter/"
)

// ErrLost is what every LostError is.
var ErrLost = errors.New("interaction lost")

// ErrAnswered says that the consent page was answered before, in another tab
// or by a second press. The first answer stands.
var ErrAnswered = errors.New("interaction already answered")

// LostError says that an interaction cannot go on: unknown, expired, ended,
// or begun in another browser. Client, where it is known, is the service to
// offer the way back to; Own says that there was none to begin with.
type LostError struct {
	Client string
	Own    bool
}

func (e *LostError) Error() string { return ErrLost.Error() }

// Is makes errors.Is(err, ErrLost) true.
func (e *LostError) Is(target error) bool { return target == ErrLost }

// Wants is what a service asked for, as far as the steps need to know.
type Wants struct {
	Scopes  []string `json:"scopes,omitempty"`
	Claims  []string `json:"claims,omitempty"` // by name, beyond those of the scopes
	Offline bool     `json:"offline,omitempty"`
	Details string   `json:"details,omitempty"` // authorization_details (RFC 9396)

	ForceLogin    bool     `json:"force_login,omitempty"`   // prompt=login, max_age=0
	ChooseAccount bool     `json:"choose,omitempty"`        // prompt=select_account
	ForceConsent  bool     `json:"force_consent,omitempty"` // prompt=consent
	MaxAge        *int     `json:"max_age,omitempty"`       // seconds
	ACRValues     []string `json:"acr_values,omitempty"`
}

// Request is what begins an interaction: that of a service, or our own.
type Request struct {
	Client      string
	Own         *Own   // where Client is empty
	Params      string // the authorization request, form-encoded
	Wants       Wants
	Lang        string
	LoginHint   string
	RequestedAt time.Time // zero: now, by the database's clock
	// NewBrowser says that the browser has only now been given its name: it has no
	// other request open.
	NewBrowser bool
	// Life is how long it waits for its browser; zero is the sixty minutes that
	// it has once a browser has come.
	Life time.Duration
}

// Answer is what the citizen said on the consent page, and in which session.
type Answer struct {
	Allowed bool      `json:"allowed"`
	Scopes  []string  `json:"scopes,omitempty"`
	Claims  []string  `json:"claims,omitempty"`
	Session SessionID `json:"-"`
}

// Interaction is a service's request on its way through our pages, in one
// browser, or a citizen's way into the own area. It is a copy: what the steps do to it is seen after the next Get.
type Interaction struct {
	ID          string
	Client      string
	Own         *Own // instead of a client
	Params      string
	Wants       Wants
	Lang        string
	LoginHint   string
	RequestedAt time.Time
	ExpiresAt   time.Time
	Now         time.Time // the database's clock when Get read it

	Session         SessionID  // signed in within this interaction, or empty
	AuthenticatedAt *time.Time // when that was
	AccountChosen   bool       // the citizen said who goes on,
	ChosenSession   SessionID  // and in which session
	Change          credentials.ChangeID
	ChangeUntil     *time.Time
	Consent         *Answer

	browser []byte // hash of the browser's cookie
	ticket  []byte // hash of the cookie that opens Change
}

// Holds reports whether secret is the ticket that was given to whoever typed
// the right PIN for Change. The browser's own cookie is not enough: it is older
// than the sign-in, and somebody may have noted it on a shared machine.
func (i Interaction) Holds(secret string) bool {
	return i.Change != "" && subtle.ConstantTimeCompare(i.ticket, digest("ticket", secret)) == 1
}

// ResumeURL is where any step may return to. Only provider, and selfservice for
// the own area, know what is next.
func (i Interaction) ResumeURL() string {
	if i.Own != nil {
		return ownPrefix + i.ID
	}
	return servicePrefix + i.ID
}

// CancelURL takes the citizen back to the service, which gets access_denied, or
// out of the own area.
func (i Interaction) CancelURL() string { return i.ResumeURL() + "?cancel=1" }

// signedIn is i after MarkSignedIn.
func (i Interaction) signedIn(s Session) Interaction {
	i.Session, i.AuthenticatedAt = s.ID, &s.AuthTime
	i.AccountChosen, i.ChosenSession = true, s.ID
	i.Change, i.ChangeUntil, i.ticket = "", nil, nil
	return i
}

// Answered is i with an answer that is about to be kept.
func (i Interaction) Answered(a Answer) Interaction {
	i.Consent = &a
	return i
}

// Interactions keeps the requests under way. Each is bound to the browser that
// brought it: its id alone opens nothing.
type Interactions struct{ store interactionStore }

// NewInteractions returns the interactions of db.
func NewInteractions(db *database.DB) (*Interactions, error) {
	if db == nil {
		return nil, errors.New("login: interactions need a database")
	}
	return &Interactions{interactionStore{db}}, nil
}

// Start keeps a request. Without a browser (a POST from the service's site
// brings no cookie of ours) it belongs to the first browser that opens it.
func (n *Interactions) Start(ctx context.Context, browser string, req Request) (Interaction, error) {
	if err := req.destination(); err != nil {
		return Interaction{}, fmt.Errorf("start interaction: %w", err)
	}
	i := Interaction{
		ID: newSecret(), Client: req.Client, Own: req.Own, Params: req.Params, Wants: req.Wants, Lang: req.Lang,
		LoginHint: req.LoginHint, RequestedAt: req.RequestedAt,
	}
	if browser != "" {
		i.browser = digest("browser", browser)
	}
	sealed, err := seal(i)
	if err != nil {
		return Interaction{}, fmt.Errorf("start interaction: %w", err)
	}
	if req.Life == 0 {
		req.Life = interactionLife
	}
	if err := n.store.insert(ctx, &i, sealed, req.Life); err != nil {
		return Interaction{}, fmt.Errorf("start interaction: %w", err)
	}
	if req.NewBrowser {
		return i, nil
	}
	if err := n.dropOldest(ctx, i.browser); err != nil {
		return Interaction{}, fmt.Errorf("start interaction: %w", err)
	}
	return i, nil
}

// dropOldest lets the oldest go where a browser has more than twenty open. It
// is a commit of its own after the one that added, so that tabs that open at
// once still end with twenty.
func (n *Interactions) dropOldest(ctx context.Context, browser []byte) error {
	if browser == nil {
		return nil
	}
	return n.store.dropOldest(ctx, browser)
}

// Get returns an open interaction of this browser, with one read. Anything
// else is a *LostError.
func (n *Interactions) Get(ctx context.Context, browser, id string) (Interaction, error) {
	r, found, err := n.store.get(ctx, digest("interaction", id))
	return n.got(ctx, browser, id, r, found, err)
}

// getBoth is Get, and Sessions.Get with it, in the same read; a nil session is
// ErrNoSession's.
func (n *Interactions) getBoth(ctx context.Context, browser, id string, sessions *Sessions, cookie string, others []database.Query) (Interaction, *Session, error) {
	r, s, found, err := n.store.getBoth(ctx, digest("interaction", id), sessions.store, cookie, others)
	i, err := n.got(ctx, browser, id, r, found, err)
	return i, s, err
}

// got is what a look has brought, bound to this browser where it is nobody's.
func (n *Interactions) got(ctx context.Context, browser, id string, r interactionRow, found bool, err error) (Interaction, error) {
	if err == nil && found && r.BrowserHash == nil && r.Open && browser != "" {
		r, err = n.bind(ctx, browser, id)
	}
	if err != nil {
		return Interaction{}, fmt.Errorf("get interaction: %w", err)
	}
	if !found {
		return Interaction{}, &LostError{}
	}
	return r.of(browser, id)
}

// of is the interaction, if this browser has it and it is open.
func (r interactionRow) of(browser, id string) (Interaction, error) {
	same := browser != "" && subtle.ConstantTimeCompare(r.BrowserHash, digest("browser", browser)) == 1
	if !same || !r.Open {
		return Interaction{}, lostBy(r.ClientID)
	}
	i, err := r.interaction(id)
	if err != nil {
		return Interaction{}, fmt.Errorf("get interaction: %w", err)
	}
	return i, nil
}

// Take gives an interaction that was started with a Life of its own to the
// browser that brings it in time; from then on it has its sixty minutes. The
// same browser may bring it again; any other gets a *LostError, as does who brings
// it in the name of another client: that does not use it up.
func (n *Interactions) Take(ctx context.Context, browser, client, id string) (Interaction, error) {
	if browser == "" {
		return Interaction{}, &LostError{}
	}
	hash := digest("browser", browser)
	if err := n.store.take(ctx, digest("interaction", id), hash, client); err != nil {
		return Interaction{}, fmt.Errorf("take interaction: %w", err)
	}
	if err := n.dropOldest(ctx, hash); err != nil {
		return Interaction{}, fmt.Errorf("take interaction: %w", err)
	}
	r, found, err := n.store.get(ctx, digest("interaction", id))
	if err != nil {
		return Interaction{}, fmt.Errorf("take interaction: %w", err)
	}
	if !found || r.ClientID != client {
		return Interaction{}, &LostError{}
	}
	return r.of(browser, id)
}

// bind gives an interaction without a browser to this one, if it is the first,
// and reads it again either way.
func (n *Interactions) bind(ctx context.Context, browser, id string) (interactionRow, error) {
	hash := digest("browser", browser)
	if err := n.store.bind(ctx, digest("interaction", id), hash); err != nil {
		return interactionRow{}, err
	}
	if err := n.dropOldest(ctx, hash); err != nil {
		return interactionRow{}, err
	}
	r, _, err := n.store.get(ctx, digest("interaction", id))
	return r, err
}

// MarkSignedIn records that s began (or was renewed) within i, and closes its
// change of PIN. Who signed in just now has chosen the account, too.
func (n *Interactions) MarkSignedIn(ctx context.Context, i Interaction, s Session) error {
	return marked(n.store.signedIn(ctx, i, s))
}

// MarkChosen records that the person of session s goes on.
func (n *Interactions) MarkChosen(ctx context.Context, i Interaction, s SessionID) error {
	return marked(n.store.chosen(ctx, i, s))
}

// MarkOther records that another person wants to sign in: the interaction
// forgets the session and from here on asks for a sign-in of its own.
func (n *Interactions) MarkOther(ctx context.Context, i Interaction) error {
	return marked(n.store.other(ctx, i))
}

// MarkChange opens a forced change of PIN for as long as its new PIN lives, to
// whoever holds ticket.
func (n *Interactions) MarkChange(ctx context.Context, i Interaction, id credentials.ChangeID, ticket string, until time.Time) error {
	return marked(n.store.change(ctx, i, id, digest("ticket", ticket), until))
}

// ExtendChange puts the end of a change off, because another new PIN was made.
func (n *Interactions) ExtendChange(ctx context.Context, i Interaction, until time.Time) error {
	return marked(n.store.extendChange(ctx, i, until))
}

// ClearChange closes the ticket id, which was cancelled or has expired. A
// ticket that has been replaced meanwhile stays.
func (n *Interactions) ClearChange(ctx context.Context, i Interaction, id credentials.ChangeID) error {
	if err := n.store.clearChange(ctx, i, id); err != nil {
		return fmt.Errorf("close the change of PIN: %w", err)
	}
	return nil
}

// OpenChange reports whether a change of PIN is open in this browser, in any
// tab: prompt=none is then answered with interaction_required.
func (n *Interactions) OpenChange(ctx context.Context, browser string) (bool, error) {
	open, err := n.store.openChange(ctx, digest("browser", browser))
	if err != nil {
		return false, fmt.Errorf("look for an open change of PIN: %w", err)
	}
	return open, nil
}

// Answer records what was said on the consent page, once for each session:
// a second answer is ErrAnswered and changes nothing.
func (n *Interactions) Answer(ctx context.Context, i Interaction, a Answer) error {
	first, err := n.store.answer(ctx, i, a)
	if err == nil && !first {
		// ended meanwhile, or answered: only a look tells which
		if err = n.stillOpen(ctx, i); err == nil {
			err = ErrAnswered
		}
	}
	if err != nil {
		return fmt.Errorf("answer interaction: %w", err)
	}
	return nil
}

// End closes i, in the transaction that refuses: of any number of tabs one wins,
// for the others i is lost. What the service sent is erased.
func (n *Interactions) End(ctx context.Context, i Interaction) error {
	return marked(n.store.end(ctx, i))
}

// Sweep handles a batch of rows and reports how many: of the expired it erases
// what the service sent, those past their day of grace it deletes.
func (n *Interactions) Sweep(ctx context.Context) (int, error) {
	erased, err := n.store.erase(ctx)
	if err != nil {
		return 0, fmt.Errorf("sweep interactions: %w", err)
	}
	gone, err := n.store.remove(ctx)
	if err != nil {
		return 0, fmt.Errorf("sweep interactions: %w", err)
	}
	return erased + gone, nil
}

func marked(err error) error {
	if err != nil {
		return fmt.Errorf("update interaction: %w", err)
	}
	return nil
}

func (n *Interactions) stillOpen(ctx context.Context, i Interaction) error {
	r, found, err := n.store.get(ctx, digest("interaction", i.ID))
	if err == nil && (!found || !r.Open) {
		err = lostBy(i.Client)
	}
	return err
}
