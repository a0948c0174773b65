package credentials

import (
	"context"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// NoticePINSuspended tells that a PIN is suspended.
const NoticePINSuspended delivery.MessageKey = "notice-pin-suspended"

// reportedByHolder is the reason of a suspension that a notice led to.
const reportedByHolder = "reported by the holder"

// ReportOpen reports whether the link of a notice still leads on. Looking
// changes nothing.
func (s *Service) ReportOpen(ctx context.Context, link Code) (bool, error) {
	_, found, err := s.store.noticeByLink(ctx, s.linkKeys(link))
	return found, wrap("open a notice's link", err)
}

// Report is "that was not me" by the link of a notice: the PIN is suspended,
// what is under way about it ends, and only staff lift it again. ErrLinkDead
// says that the link has been used or is too old.
func (s *Service) Report(ctx context.Context, by audit.Actor, link Code) error {
	n, found, err := s.store.noticeByLink(ctx, s.linkKeys(link))
	if err != nil {
		return wrap("report a notice", err)
	}
	if !found {
		return ErrLinkDead
	}
	return s.contest(ctx, by, n)
}

// ReportByCode is the same by the code of an SMS. ErrCodeWrong stands for a
// wrong one, for nobody's and for one that is over.
func (s *Service) ReportByCode(ctx context.Context, by audit.Actor, fc citizens.FiscalCode, code Code) error {
	who, known, err := s.citizens.Find(ctx, fc)
	if err != nil {
		return wrap("report a notice", err)
	}
	if !known {
		who = nobody
	}
	list, err := s.store.tryNotices(ctx, who, s.policy.Procedures.Tries)
	if err != nil {
		return wrap("report a notice", err)
	}
	n, right := s.whichNotice(list, code)
	if !right {
		return ErrCodeWrong
	}
	return s.contest(ctx, by, n)
}

func (s *Service) contest(ctx context.Context, by audit.Actor, n notice) error {
	used := false
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		who, err := s.citizens.ByID(ctx, n.CitizenID)
		if err != nil {
			return err
		}
		if used, err = s.store.report(ctx, n.ID); err != nil || !used {
			return err
		}
		if err := s.dropProcedures(ctx, by, who.ID, stepContested, recovery, revocation); err != nil {
			return err
		}
		e := controlled(audit.NoticeReported, by, who.ID, reportedByHolder)
		e.Details = map[string]string{"message": string(n.Message)}
		if err := s.audit.Record(ctx, e); err != nil {
			return err
		}
		if err := s.reported(ctx, who.ID); err != nil {
			return err
		}
		return s.suspendReported(ctx, by, who)
	})
	if err != nil {
		return wrap("report a notice", err)
	}
	if !used {
		return ErrLinkDead
	}
	return nil
}

// suspendReported suspends whatever PIN there is; one that is suspended already
// stays so.
func (s *Service) suspendReported(ctx context.Context, by audit.Actor, who citizens.Citizen) error {
	n, err := s.store.suspend(ctx, who.ID, reportedByHolder)
	if err != nil || n == 0 {
		return err
	}
	if err := s.end(ctx, who.ID, ReasonSuspended); err != nil {
		return err
	}
	if err := s.audit.Record(ctx, controlled(audit.PINSuspended, by, who.ID, reportedByHolder)); err != nil {
		return err
	}
	return s.Notify(ctx, who, NoticePINSuspended, nil)
}
