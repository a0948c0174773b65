package credentials

import (
	"context"
	"errors"

	"ente.example/idp/audit"
)

// Refusals of a confirmation.
var (
	// ErrCodeWrong stands for a wrong code, another person's, and no request at
	// all. It counts as a try.
	ErrCodeWrong = errors.New("codice fiscale and code do not match")
	// ErrLinkDead says that a link, or a code that was right, is not good any
	// more: used, expired, superseded, tried too often. Only somebody who holds
	// one of them gets this answer.
	ErrLinkDead = errors.New("this link is not good any more")
)

// prove counts a try and looks whether the code is right. Only then, or with
// the link in hand, does anybody learn that a request is over.
func (s *Service) prove(ctx context.Context, by audit.Actor, k procedureKind, proof Proof) (procedure, error) {
	who, known, err := s.citizens.Find(ctx, proof.FiscalCode)
	if err != nil {
		return procedure{}, err
	}
	if !known {
		who = nobody
	}
	p, found, err := s.store.asked(ctx, k, who, s.linkKeys(proof.Link))
	if err != nil {
		return procedure{}, err
	}
	if !proof.Link.IsZero() && (!found || !p.confirmable(s.policy.Procedures.Tries)) {
		return procedure{}, ErrLinkDead
	}
	p, reserved, err := s.store.reserveCode(ctx, p.ID, s.policy.Procedures.Tries)
	if err != nil {
		return procedure{}, err
	}
	right := reserved && p.CitizenID == who && Match(p.CodeKey, s.codeKeys(p, proof.Code))
	switch {
	case !reserved:
		return procedure{}, ErrCodeWrong
	case !right:
		return procedure{}, s.wrongCode(ctx, by, p)
	case !p.confirmable(s.policy.Procedures.Tries + 1): // this try is counted already
		return procedure{}, ErrLinkDead
	}
	return p, nil
}

// wrongCode records a try; the last one that is allowed ends the request (R38).
func (s *Service) wrongCode(ctx context.Context, by audit.Actor, p procedure) error {
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		e := p.event(audit.ProcedureCodeWrong, by, "")
		e.Outcome = audit.Refused
		if err := s.audit.Record(ctx, e); err != nil {
			return err
		}
		if p.State != stepMailed || p.Tries < s.policy.Procedures.Tries {
			return nil
		}
		_, err := s.finishProcedure(ctx, by, p, stepTooManyTries)
		return err
	})
	if err != nil {
		return wrap("count a wrong code", err)
	}
	return ErrCodeWrong
}

// confirmable reports whether a code could still confirm this request.
func (p procedure) confirmable(tries int) bool {
	return p.State == stepMailed && p.Tries < tries && p.DueAt.After(p.Now.Time)
}

func (s *Service) linkLive(ctx context.Context, k procedureKind, link Code) (bool, error) {
	p, found, err := s.store.asked(ctx, k, nobody, s.linkKeys(link))
	if err != nil {
		return false, wrap("open a link", err)
	}
	return found && p.confirmable(s.policy.Procedures.Tries), nil
}
