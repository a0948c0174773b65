package credentials

import (
	"context"
	"slices"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// What becomes of a recovery is decided elsewhere: where its parts are handed
// over, where one of them is lost, where somebody signs in.

// handOverRecovered follows when both parts of a recovered PIN have left: it
// begins, and wrong tries at the one before are forgotten (R32).
func (s *Service) handOverRecovered(ctx context.Context, c credential) error {
	p, found, err := s.store.handedOver(ctx, c.ID, s.policy.ValidityRecovery)
	if err != nil || !found {
		return err
	}
	if err := s.throttle.Forgive(ctx, []byte(c.CitizenID)); err != nil {
		return err
	}
	return s.audit.Record(ctx, p.event(audit.ProcedurePartsSent, system, ""))
}

// loseRecovered follows when a part can never arrive. The PIN in use stays, and
// its owner is told by what still reaches him.
func (s *Service) loseRecovered(ctx context.Context, id ID) error {
	p, found, err := s.store.byCredential(ctx, id)
	if err != nil || !found || p.State != stepSending {
		return err
	}
	if ok, err := s.finishProcedure(ctx, system, p, stepUndelivered); err != nil || !ok {
		return err
	}
	who, err := s.citizens.ByID(ctx, p.CitizenID)
	if err != nil {
		return err
	}
	return s.Notify(ctx, who, NoticeRecoveryFailed, nil)
}

// lostHalf is why a PIN ended of which a half left and did not arrive.
const lostHalf = "a half was lost on its way"

// Outcome is delivery's hook for what transports tell after the hand-over. A
// recovered PIN of which a half is lost dies, if nobody has used it: half a PIN
// opens nothing, and where the other half is nobody knows. Its owner may begin
// again at once, although there is no PIN left to recover. First PINs that came
// by letter are the business of the room above.
func (s *Service) Outcome(ctx context.Context, o delivery.Outcome) error {
	if !o.Result.Lost() {
		return nil
	}
	switch o.Key {
	case delivery.PINHalf1, delivery.PINHalf2:
		return wrap("end a PIN", s.losePart(ctx, o))
	case RecoveryCode, RevocationCode:
		return wrap("end a request", s.loseCode(ctx, o.Ref))
	default:
		return nil
	}
}

func (s *Service) losePart(ctx context.Context, o delivery.Outcome) error {
	c, found, err := s.store.byID(ctx, ID(o.Ref))
	if err != nil || !found || c.Origin != recovered {
		return err
	}
	replaced := c.State == Issued // and the one before is gone
	if lost, err := s.Discard(ctx, system, c.ID, lostHalf); err != nil || !lost {
		return err
	}
	p, found, err := s.store.byCredential(ctx, c.ID)
	if err != nil || !found || p.State != stepSending && p.State != stepSent {
		return err
	}
	if ok, err := s.finishProcedure(ctx, system, p, stepUndelivered); err != nil || !ok {
		return err
	}
	who, err := s.citizens.ByID(ctx, c.CitizenID)
	if err != nil {
		return err
	}
	key := NoticeRecoveryFailed
	if replaced {
		key = NoticeRecoveryLost
	}
	return s.tell(ctx, who, key, nil, s.otherWays(who, o.Channel))
}

// otherWays are how somebody is reached whom one channel does not reach; that
// one too, where there is no other.
func (s *Service) otherWays(who citizens.Citizen, lost delivery.Channel) []way {
	all := s.everyWay(who, nil)
	others := slices.DeleteFunc(slices.Clone(all), func(w way) bool { return w.channel == lost })
	if len(others) == 0 {
		return all
	}
	return others
}

// loseCode follows when the mail with the code can never arrive: nobody will
// use it, and its owner may begin again.
func (s *Service) loseCode(ctx context.Context, id string) error {
	p, found, err := s.store.oneProcedure(ctx, `id = ?`, id)
	if err != nil || !found || p.State != stepMailed {
		return err
	}
	_, err = s.finishProcedure(ctx, system, p, stepUndelivered)
	return err
}

// completeRecovered follows when a recovered PIN has been changed for a
// working one (R40).
func (s *Service) completeRecovered(ctx context.Context, by audit.Actor, old credential) error {
	if old.Origin != recovered {
		return nil
	}
	p, found, err := s.store.byCredential(ctx, old.ID)
	if err != nil || !found || p.State != stepSent {
		return err
	}
	_, err = s.finishProcedure(ctx, by, p, stepCompleted)
	return err
}

// overtakeRecovery ends a recovery because the PIN that it was to replace has
// just been used: its owner has found it again, or never asked (R46).
func (s *Service) overtakeRecovery(ctx context.Context, by audit.Actor, who citizens.Citizen) error {
	open, err := s.store.openProcedures(ctx, who.ID, []procedureKind{recovery})
	if err != nil || len(open) == 0 || open[0].State == stepSent {
		return err // sent: it is the new PIN that was used
	}
	if err := s.dropProcedures(ctx, by, who.ID, stepCancelled, recovery); err != nil {
		return err
	}
	return s.Notify(ctx, who, NoticeRecoveryCancelled, nil)
}
