package credentials

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"ente.example/idp/audit"
	"ente.example/idp/database"
)

// Confirm ends a change: the new PIN, copied from where it was shown, and the
// old one once more. The new one is compared first: copying it wrongly spends
// no try (R26). A zero PIN stands for what ParsePIN has refused.
//
// ErrNewMismatch, ErrMalformed, ErrOldWrong and *WaitingError leave the change
// open; ErrChangeExpired means that one has to start again.
func (s *Service) Confirm(ctx context.Context, by audit.Actor, id ChangeID, old, typed PIN) (Verified, error) {
	r, err := s.openChange(ctx, id)
	if err != nil {
		return Verified{}, err
	}
	shown, err := s.unseal(r)
	if err != nil {
		return Verified{}, err
	}
	if !shown.equal(typed) {
		return Verified{}, s.slip(ctx, by, r)
	}
	if old.IsZero() {
		return Verified{}, ErrMalformed
	}
	p, err := s.hasher.enter()
	if err != nil {
		return Verified{}, err
	}
	defer p.leave()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finish)
	defer cancel()
	t, err := s.checkOld(ctx, p, by, r, old)
	if err != nil {
		return Verified{}, err
	}
	return s.exchange(ctx, p, t, r, shown)
}

// slip counts a wrong copy. The last one that is allowed ends the change.
func (s *Service) slip(ctx context.Context, by audit.Actor, r changeRow) error {
	over := false
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		slips, found, err := s.store.slip(ctx, r.ID)
		if over = !found || slips >= s.policy.Slips; err != nil || !over || !found {
			return err
		}
		if _, err := s.store.endChange(ctx, r.ID); err != nil {
			return err
		}
		e := changeEvent(audit.PINChangeEnded, by, r, nil)
		e.Outcome, e.Reason = audit.Refused, "copied wrongly too often"
		return s.audit.Record(ctx, e)
	})
	if err != nil {
		return fmt.Errorf("count a slip: %w", err)
	}
	if over {
		return ErrChangeExpired
	}
	return ErrNewMismatch
}

// checkOld tries the old PIN under the rules of any other try (R32). It returns
// no error only if it was right; then the try is recorded with the change.
func (s *Service) checkOld(ctx context.Context, p *place, by audit.Actor, r changeRow, old PIN) (try, error) {
	t := try{by: by, known: true}
	var err error
	if t.who, err = s.citizens.ByID(ctx, r.CitizenID); err == nil {
		t.pin, t.has, err = s.store.live(ctx, r.CitizenID)
	}
	if err != nil {
		return t, fmt.Errorf("read the old PIN: %w", err)
	}
	if !t.has || t.pin.ID != r.CredentialID {
		return t, ErrChangeExpired
	}
	if t.guess, err = s.throttle.Reserve(ctx, []byte(t.who.ID)); err != nil {
		return t, fmt.Errorf("check the old PIN: %w", err)
	}
	if err = s.judge(ctx, p, &t, old); err != nil {
		return t, fmt.Errorf("check the old PIN: %w", err)
	}
	if t.verdict == right {
		return t, nil
	}
	if err := s.db.InTx(ctx, func(ctx context.Context) error { return s.record(ctx, &t) }); err != nil {
		return t, fmt.Errorf("record a try: %w", err)
	}
	if _, err = s.answer(t); errors.Is(err, ErrRefused) {
		err = ErrOldWrong
	}
	return t, err
}

// errOver rolls an exchange back that came too late.
var errOver = errors.New("over")

// exchange puts the new PIN into the old one's place. Each statement carries
// its condition, so of two confirmations one succeeds; the old hash is erased
// with it (R25).
func (s *Service) exchange(ctx context.Context, p *place, t try, r changeRow, pin PIN) (Verified, error) {
	old := t.pin
	c := credential{CitizenID: old.CitizenID, Kind: old.Kind, Form: working, Origin: change, State: Active, IssuedAt: old.IssuedAt,
		DismissalAt: old.DismissalAt, OrdinaryUntil: s.ordinaryUntil(old), Now: old.Now}
	var err error
	if c.ID, err = newID(); err == nil {
		c.Secret, err = s.vault.keep(ctx, p, c.label(), pin)
	}
	if err != nil {
		return Verified{}, fmt.Errorf("change a PIN: %w", err)
	}
	err = s.db.InTx(ctx, func(ctx context.Context) error { return s.swap(ctx, t, r, c) })
	switch {
	case errors.Is(err, errOver):
		t.verdict = overtaken
		err = s.db.InTx(ctx, func(ctx context.Context) error { return s.record(ctx, &t) })
		return Verified{}, cmp.Or(wrap("record a try", err), ErrChangeExpired)
	case err != nil:
		return Verified{}, fmt.Errorf("change a PIN: %w", err)
	}
	s.observe("right", false)
	return Verified{Citizen: c.CitizenID, Credential: c.ID, Kind: c.kind(), PreviousAccess: old.LastAccessAt.Ptr()}, nil
}

// ordinaryUntil is until when the PIN that follows another counts as ordinario:
// some days after a recovery, however often it is changed meanwhile.
func (s *Service) ordinaryUntil(old credential) database.Time {
	if old.Origin == recovered && old.Form == initial {
		return database.Time{Time: old.Now.Add(s.policy.KindAfterRecovery)}
	}
	return old.OrdinaryUntil
}

func (s *Service) swap(ctx context.Context, t try, r changeRow, c credential) error {
	if err := s.overtakeRecovery(ctx, t.by, t.who); err != nil {
		return err
	}
	open, err := s.store.endChange(ctx, r.ID)
	if err == nil && open {
		open, err = s.store.supersede(ctx, t.pin)
	}
	if err != nil {
		return err
	}
	if !open {
		return errOver
	}
	if err := s.store.activate(ctx, c); err != nil {
		return err
	}
	if err := s.throttle.Forgive(ctx, []byte(c.CitizenID)); err != nil {
		return err
	}
	if err := s.completeRecovered(ctx, t.by, t.pin); err != nil {
		return err
	}
	if err := s.changed(ctx, c.CitizenID, r.ID); err != nil {
		return err
	}
	if t.pin.Form == initial {
		if err := s.firstAccess(ctx, c.CitizenID, t.pin.ID); err != nil {
			return err
		}
	}
	// confirming acknowledges the rules of use that stand on the page
	err = s.audit.Record(ctx, changeEvent(audit.PINChanged, t.by, r,
		map[string]string{"old": string(t.pin.ID), "new": string(c.ID), "kind": string(c.Kind), "rules": "acknowledged"}))
	if err != nil {
		return err
	}
	if t.pin.Form == initial {
		return s.Notify(ctx, t.who, NoticePINActivated, nil)
	}
	return s.Notify(ctx, t.who, NoticePINChanged, nil)
}
