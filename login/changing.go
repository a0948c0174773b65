package login

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/audit"
	"ente.example/idp/credentials"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// shownField ties a form to the candidate it was shown with.
const shownField = "shown"

// Changing is a change of PIN on a page: what the forced one of a sign-in and
// the voluntary one of the own area have in common. Whoever makes one has made
// sure that the change is this browser's to see.
//
// Its methods return credentials.ErrChangeExpired when one has to start again.
type Changing struct {
	Credentials *credentials.Service
	ID          credentials.ChangeID
	By          audit.Actor
	Action      string            // the address of the page
	Hidden      []templates.Field // what its forms carry besides
	Voluntary   bool
}

// Page shows the new PIN. It makes none: the candidate was made on entering the
// step and is the same at every look (R24, R26).
func (g Changing) Page(ctx context.Context) (templates.PINChange, error) {
	change, err := g.change(ctx)
	if err != nil {
		return templates.PINChange{}, err
	}
	return g.page(change, templates.PINChange{}), nil
}

func (g Changing) change(ctx context.Context) (credentials.Change, error) {
	if g.ID == "" {
		return credentials.Change{}, credentials.ErrChangeExpired
	}
	return g.Credentials.Change(ctx, g.ID)
}

func (g Changing) page(change credentials.Change, p templates.PINChange) templates.PINChange {
	p.Action, p.Voluntary = g.Action, g.Voluntary
	p.NewPIN = templates.Show(change.Candidate.Reveal())
	p.ExpiresAt, p.Regenerations, p.First = change.ExpiresAt, change.RegenerationsLeft, change.First
	p.Hidden = append([]templates.Field{{Name: shownField, Value: g.shown(change)}}, g.Hidden...)
	return p
}

// shown names a candidate without telling anything about it.
func (g Changing) shown(change credentials.Change) string {
	sum := digest("change", string(g.ID)+":"+strconv.Itoa(change.RegenerationsLeft))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// stale tells whether the form shows a candidate that another tab has replaced
// since. A form that does not say shows the last.
func (g Changing) stale(c echo.Context, change credentials.Change) bool {
	said := web.PostValue(c, shownField)
	return said != "" && subtle.ConstantTimeCompare([]byte(said), []byte(g.shown(change))) == 0
}

// Regenerate makes another candidate and says how long it lives. A form that
// shows an older one asks for none: a double press makes one, not two.
func (g Changing) Regenerate(c echo.Context) (until time.Time, err error) {
	ctx := c.Request().Context()
	change, err := g.change(ctx)
	if err == nil && !g.stale(c, change) {
		err = g.Credentials.Regenerate(ctx, g.By, g.ID)
	}
	if errors.Is(err, credentials.ErrNoMoreCandidates) {
		return change.ExpiresAt, nil
	}
	if err == nil {
		change, err = g.change(ctx)
	}
	return change.ExpiresAt, err
}

// Confirm takes the new PIN typed back and the old one. Where they will not do,
// again is the page to show, with what was wrong and the same candidate.
func (g Changing) Confirm(c echo.Context) (done credentials.Verified, again *templates.PINChange, err error) {
	ctx := c.Request().Context()
	change, err := g.change(ctx)
	if err != nil {
		return done, nil, err
	}
	if g.stale(c, change) {
		return done, &templates.PINChange{
			Action: g.Action, Problem: templates.PINChangeExpired, RestartURL: g.Action, Voluntary: g.Voluntary,
		}, nil
	}
	oldText, newText := web.PostValue(c, "old_pin"), web.PostValue(c, "new_pin")
	if missing := append(missing("new_pin", newText), missing("old_pin", oldText)...); len(missing) > 0 {
		p := g.page(change, templates.PINChange{Problem: templates.FormInvalidField, Fields: missing})
		return done, &p, nil
	}
	// what is no PIN at all is the zero PIN, which credentials knows how to refuse
	old, _ := credentials.ParsePIN(oldText)
	fresh, _ := credentials.ParsePIN(newText)
	if done, err = g.Credentials.Confirm(ctx, g.By, g.ID, old, fresh); err != nil {
		again, err = g.notConfirmed(ctx, err)
	}
	return done, again, err
}

func missing(field, value string) []templates.FieldProblem {
	if strings.TrimSpace(value) != "" {
		return nil
	}
	return []templates.FieldProblem{{Field: field, Problem: templates.FieldMissing}}
}

func (g Changing) notConfirmed(ctx context.Context, err error) (*templates.PINChange, error) {
	p := templates.PINChange{}
	waiting, isWaiting := errors.AsType[*credentials.WaitingError](err)
	switch {
	case isWaiting:
		p.Problem, p.Until = templates.LoginWaiting, waiting.Until
	case errors.Is(err, credentials.ErrNewMismatch):
		p.Problem = templates.PINChangeNewMismatch
	case errors.Is(err, credentials.ErrOldWrong):
		p.Problem = templates.PINChangeOldWrong
	case errors.Is(err, credentials.ErrMalformed):
		p.Problem = templates.FormInvalidField
		p.Fields = []templates.FieldProblem{{Field: "old_pin", Problem: templates.FieldShape}}
	default:
		return nil, Busy(err)
	}
	change, err := g.change(ctx)
	if err != nil {
		return nil, err
	}
	p = g.page(change, p)
	return &p, nil
}
