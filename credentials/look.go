package credentials

import (
	"context"
	"slices"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// What time brings to a PIN that somebody has. Nothing calls for it, so every
// such PIN is looked at about once a day, and on the days when a notice is due.
// A look asks the registry and the policy as they are then: whatever they say
// new today counts from tomorrow on at the latest, and at a sign-in at once.

// relook is how long a PIN is not looked at when nothing is due sooner.
const relook = 24 * time.Hour

// Notices of what time brings.
const (
	NoticePINDue       delivery.MessageKey = "notice-pin-due"
	NoticePINFirstDue  delivery.MessageKey = "notice-pin-first-due"
	NoticePINInactive  delivery.MessageKey = "notice-pin-inactive"
	NoticePINDismissal delivery.MessageKey = "notice-pin-dismissal"
	NoticePINDismissed delivery.MessageKey = "notice-pin-dismissed"
	NoticePINKept      delivery.MessageKey = "notice-pin-kept"
)

// More reasons for what rests on a PIN to end.
const (
	ReasonInactive  Reason = "pin-inactive"
	ReasonDismissed Reason = "pin-dismissed"
)

// sweepLooks looks at the PINs whose time has come, each in a transaction of
// its own.
func (s *Service) sweepLooks(ctx context.Context) (more bool, err error) {
	list, err := s.store.toLook(ctx)
	if err != nil {
		return false, err
	}
	for _, id := range list {
		if err := s.db.InTx(ctx, func(ctx context.Context) error { return s.lookAt(ctx, id) }); err != nil {
			return false, err
		}
	}
	return len(list) == batch, nil
}

// lookAt takes the row first: whatever is then read of it stays so, and another
// node finds nothing to look at.
func (s *Service) lookAt(ctx context.Context, id ID) error {
	taken, err := s.store.takeLook(ctx, id)
	if err != nil || !taken {
		return err
	}
	c, _, err := s.store.byID(ctx, id)
	if err != nil {
		return err
	}
	who, err := s.citizens.ByID(ctx, c.CitizenID)
	if err != nil || who.DeceasedOn != nil { // Bereave has done what is to be done
		return err
	}
	leaving, err := s.reviewEligibility(ctx, c, who)
	if err != nil || leaving || !c.SuspendedAt.IsZero() {
		return err
	}
	if c.State == Active && s.policy.unused(c, who.Category, s.italy, c.Now.Time) {
		return s.deactivate(ctx, c, who)
	}
	return s.remind(ctx, c, who)
}

// reviewEligibility announces to somebody whom the profile excludes by now that
// his PIN will end, ends it when the time has come, and takes either back when
// the profile admits him again. It is true for a PIN that is leaving.
func (s *Service) reviewEligibility(ctx context.Context, c credential, who citizens.Citizen) (leaving bool, err error) {
	_, excluded := s.eligibility.Excludes(who, c.IssuedAt.Ptr(), c.Now.Time)
	switch {
	case !excluded && (c.State == Dismissed || !c.DismissalAt.IsZero()):
		return true, s.readmit(ctx, system, c, who)
	case !excluded && c.givenUnderAnother(s.eligibility):
		return false, s.store.reprofile(ctx, c.ID)
	case !excluded || c.State == Dismissed:
		return excluded, nil
	case c.givenUnderAnother(s.eligibility):
		if _, err := s.store.announce(ctx, c.ID, c.Now.Time); err != nil {
			return true, err
		}
		return true, s.dismiss(ctx, c, who)
	case c.DismissalAt.IsZero():
		return true, s.announceDismissal(ctx, c, who)
	case !c.DismissalAt.After(c.Now.Time):
		return true, s.dismiss(ctx, c, who)
	}
	return true, nil
}

// announceDismissal gives somebody who is no longer eligible a while (R7,
// decision 11). Of two at once one announces.
func (s *Service) announceDismissal(ctx context.Context, c credential, who citizens.Citizen) error {
	until := c.Now.Add(s.policy.Dismissal)
	first, err := s.store.announce(ctx, c.ID, until)
	if err != nil || !first {
		return err
	}
	e := event(audit.PINDismissal, system, ended{c.ID, c.CitizenID}, "not eligible")
	e.Details["until"] = until.UTC().Format(time.RFC3339)
	if err := s.audit.Record(ctx, e); err != nil {
		return err
	}
	return s.Notify(ctx, who, NoticePINDismissal, delivery.Words{"Date": s.day(until)})
}

// dismiss ends the use of a PIN whose owner's while is over. The PIN keeps its
// hash: who is eligible again has it again.
func (s *Service) dismiss(ctx context.Context, c credential, who citizens.Citizen) error {
	ok, err := s.store.dismiss(ctx, c.ID)
	if err != nil || !ok {
		return err
	}
	if err := s.end(ctx, c.CitizenID, ReasonDismissed); err != nil {
		return err
	}
	if err := s.audit.Record(ctx, event(audit.PINDismissed, system, ended{c.ID, c.CitizenID}, "not eligible")); err != nil {
		return err
	}
	return s.Notify(ctx, who, NoticePINDismissed, nil)
}

// readmit takes a dismissal back, announced or done.
func (s *Service) readmit(ctx context.Context, by audit.Actor, c credential, who citizens.Citizen) error {
	ok, err := s.store.readmit(ctx, c.ID)
	if err != nil || !ok {
		return err
	}
	if err := s.audit.Record(ctx, event(audit.PINReadmitted, by, ended{c.ID, c.CitizenID}, "")); err != nil {
		return err
	}
	return s.Notify(ctx, who, NoticePINKept, nil)
}

// deactivate ends the use of a PIN that nobody has used for too long; its owner
// recovers it.
func (s *Service) deactivate(ctx context.Context, c credential, who citizens.Citizen) error {
	ok, err := s.store.deactivate(ctx, c.ID)
	if err != nil || !ok {
		return err
	}
	if err := s.end(ctx, c.CitizenID, ReasonInactive); err != nil {
		return err
	}
	if err := s.audit.Record(ctx, event(audit.PINInactive, system, ended{c.ID, c.CitizenID}, "")); err != nil {
		return err
	}
	return s.Notify(ctx, who, NoticePINInactive, nil)
}

// remind tells that a PIN must be changed, or used for the first time, before a
// day. Only the nearest of the notices is given, and each once for a day: after
// a pause of the service nobody gets them all, and a day that the registry or
// the policy moves is told anew.
func (s *Service) remind(ctx context.Context, c credential, who citizens.Citizen) error {
	due, key := s.policy.deadline(c, who, s.italy)
	if due.IsZero() {
		return nil
	}
	days, next := reminder(c, due, s.italy)
	told := c.NoticeDue.Equal(due) && c.NoticeStep > 0 && c.NoticeStep <= days
	if days > 0 && !told {
		if err := s.Notify(ctx, who, key, delivery.Words{"Date": s.day(due)}); err != nil {
			return err
		}
		if err := s.store.reminded(ctx, c.ID, days, due); err != nil {
			return err
		}
	}
	if wait := next.Sub(c.Now.Time); !next.IsZero() && wait < relook {
		return s.store.lookIn(ctx, c.ID, wait)
	}
	return nil
}

// deadline is the day before which something is to be done with a PIN, and the
// message that says so.
func (p Policy) deadline(c credential, who citizens.Citizen, italy *time.Location) (time.Time, delivery.MessageKey) {
	switch c.State {
	case Issued:
		return c.DueAt.Time, NoticePINFirstDue
	case Active:
		return p.due(c.ChangedAt.Time, who.Category, italy), NoticePINDue
	default:
		return time.Time{}, ""
	}
}

// reminders are how many days before a deadline notice is given of it.
func reminders() []int { return []int{30, 7, 1} }

// reminder is the nearest notice whose day has come, in days before the
// deadline, and the time of the next one; zero for none. The days are those of
// Italy. Nobody is told of the end of a first PIN within a day of getting it,
// nor a month before.
func reminder(c credential, due time.Time, italy *time.Location) (days int, next time.Time) {
	now := c.Now.Time
	if !due.After(now) {
		return 0, time.Time{}
	}
	for _, n := range reminders() {
		at := due.In(italy).AddDate(0, 0, -n)
		if c.State == Issued && (n == slices.Max(reminders()) || at.Before(c.handedOver().Add(24*time.Hour))) {
			continue
		}
		if at.After(now) {
			return days, at
		}
		days = n
	}
	return days, time.Time{}
}

// handedOver is when both halves of a first PIN were out.
func (c credential) handedOver() time.Time {
	if c.FirstHalfAt.After(c.SecondHalfAt.Time) {
		return c.FirstHalfAt.Time
	}
	return c.SecondHalfAt.Time
}

// day is a day as messages say it.
func (s *Service) day(t time.Time) string { return t.In(s.italy).Format("02/01/2006") }
