package credentials

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
)

// ChangeID names one change of PIN. Whoever keeps it binds it to a browser.
type ChangeID string

// Change is a change of PIN in progress.
type Change struct {
	Citizen           citizens.ID
	Candidate         PIN // the new PIN, to be shown and typed back
	ExpiresAt         time.Time
	RegenerationsLeft int
	First             bool // the first access, R23
}

// StartChange makes the new PIN and keeps it, sealed. It ends a change that
// the same person has begun elsewhere: of two tabs the later one counts (R26).
func (s *Service) StartChange(ctx context.Context, by audit.Actor, v Verified) (ChangeID, error) {
	c, found, err := s.store.live(ctx, v.Citizen)
	if err != nil {
		return "", fmt.Errorf("start a change of PIN: %w", err)
	}
	if !found || c.ID != v.Credential || !c.SuspendedAt.IsZero() {
		return "", ErrChangeExpired
	}
	return s.openFor(ctx, by, c, nil)
}

// StartVoluntaryChange is StartChange for somebody who is signed in and wants
// another PIN, be it due or not (R26). The caller has looked at the session;
// the old PIN is asked for when the change is confirmed. Change, Regenerate,
// Confirm and CancelChange go on from here, and the age starts anew (R27).
//
// ErrNoPIN says that there is no PIN in use, or that it is suspended or its
// owner no longer eligible: the session is about to end, or has ended.
func (s *Service) StartVoluntaryChange(ctx context.Context, by audit.Actor, id citizens.ID) (ChangeID, error) {
	who, err := s.citizens.ByID(ctx, id)
	if err != nil {
		return "", fmt.Errorf("start a change of PIN: %w", err)
	}
	t := try{who: who, again: true}
	if t.pin, t.has, err = s.store.live(ctx, id); err != nil {
		return "", fmt.Errorf("start a change of PIN: %w", err)
	}
	if !t.has || s.admits(&t) != right {
		return "", ErrNoPIN
	}
	return s.openFor(ctx, by, t.pin, map[string]string{"purpose": "voluntary"})
}

// openFor opens a change of this PIN.
func (s *Service) openFor(ctx context.Context, by audit.Actor, c credential, details map[string]string) (ChangeID, error) {
	r := changeRow{CitizenID: c.CitizenID, ID: ChangeID(rand.Text()), CredentialID: c.ID}
	var err error
	if r.Candidate, err = s.candidate(ctx, r, c.Now.Time); err != nil {
		return "", fmt.Errorf("start a change of PIN: %w", err)
	}
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		if err := s.store.startChange(ctx, r, s.policy.CandidateLife); err != nil {
			return err
		}
		return s.audit.Record(ctx, changeEvent(audit.PINChangeOpened, by, r, details))
	})
	if err != nil {
		return "", fmt.Errorf("start a change of PIN: %w", err)
	}
	return r.ID, nil
}

// Change reads a change in progress; it makes nothing new, however often a
// page is loaded. ErrChangeExpired says that there is none any more.
func (s *Service) Change(ctx context.Context, id ChangeID) (Change, error) {
	r, err := s.openChange(ctx, id)
	if err != nil {
		return Change{}, err
	}
	pin, err := s.unseal(r)
	if err != nil {
		return Change{}, err
	}
	return Change{
		Citizen: r.CitizenID, Candidate: pin, ExpiresAt: r.ExpiresAt.Time,
		RegenerationsLeft: max(0, s.policy.Regenerations-r.Regenerations), First: r.Form == initial,
	}, nil
}

// Regenerate replaces the new PIN by another one, which lives as long as a
// first one does. ErrNoMoreCandidates says that this was done often enough.
func (s *Service) Regenerate(ctx context.Context, by audit.Actor, id ChangeID) error {
	r, err := s.openChange(ctx, id)
	if err != nil {
		return err
	}
	if r.Regenerations >= s.policy.Regenerations {
		return ErrNoMoreCandidates
	}
	if r.Candidate, err = s.candidate(ctx, r, r.Now.Time); err != nil {
		return fmt.Errorf("make another PIN: %w", err)
	}
	done := false
	err = s.db.InTx(ctx, func(ctx context.Context) (err error) {
		if done, err = s.store.regenerate(ctx, r, s.policy.CandidateLife); err != nil || !done {
			return err
		}
		return s.audit.Record(ctx, changeEvent(audit.PINCandidate, by, r, map[string]string{"generation": strconv.Itoa(r.Regenerations + 1)}))
	})
	if err != nil {
		return fmt.Errorf("make another PIN: %w", err)
	}
	if !done { // another request was faster: what it made is shown
		_, err = s.openChange(ctx, id)
	}
	return err
}

// ErrNoMoreCandidates says that no other PIN is generated in this change.
var ErrNoMoreCandidates = errors.New("no more new PINs in this change")

// CancelChange ends a change; the PIN stays as it was. A change that is over
// already is no error.
func (s *Service) CancelChange(ctx context.Context, by audit.Actor, id ChangeID) error {
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		r, found, err := s.store.change(ctx, id)
		if err != nil || !found {
			return err
		}
		if ended, err := s.store.endChange(ctx, id); err != nil || !ended {
			return err
		}
		return s.audit.Record(ctx, changeEvent(audit.PINChangeEnded, by, r, nil))
	})
	if err != nil {
		return fmt.Errorf("cancel a change of PIN: %w", err)
	}
	return nil
}

func (s *Service) openChange(ctx context.Context, id ChangeID) (changeRow, error) {
	r, found, err := s.store.change(ctx, id)
	if err != nil {
		return r, fmt.Errorf("read a change of PIN: %w", err)
	}
	if !found {
		return r, ErrChangeExpired
	}
	return r, nil
}

// candidate draws a new PIN for somebody and seals it to its change.
func (s *Service) candidate(ctx context.Context, r changeRow, now time.Time) ([]byte, error) {
	who, err := s.citizens.ByID(ctx, r.CitizenID)
	if err != nil {
		return nil, err
	}
	pin, err := generate(s.policy.Alphabet, workingLength, who, citizens.DateOf(now))
	if err != nil {
		return nil, err
	}
	return s.candidates.Encrypt([]byte(pin.Reveal()), r.context())
}

func (s *Service) unseal(r changeRow) (PIN, error) {
	plain, err := s.candidates.Decrypt(r.Candidate, r.context())
	if err != nil {
		return PIN{}, fmt.Errorf("unseal a new PIN: %w", err)
	}
	return PIN{string(plain)}, nil
}

// context binds a sealed candidate to its change.
func (r changeRow) context() []byte {
	return []byte("candidate/v1|" + string(r.ID) + "|" + string(r.CitizenID) + "|" + string(r.CredentialID))
}

func changeEvent(t audit.Type, by audit.Actor, r changeRow, details map[string]string) audit.Event {
	if details == nil {
		details = map[string]string{}
	}
	details["credential"] = string(r.CredentialID)
	return audit.Event{Type: t, Outcome: audit.Succeeded, Actor: by, Subject: r.CitizenID, Details: details}
}

func newID() (ID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return ID(id.String()), nil
}
