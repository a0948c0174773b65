package credentials

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// What a room above needs that decides who gets a first PIN (R10–R22): to know
// what somebody holds, to make one, to take it back, to hear what became of it.

// First is a first PIN that somebody is to get: the first half goes to a
// contact, the second by post to where Citizen.Residence says, and nowhere else
// (R14).
type First struct {
	Citizen  citizens.Citizen
	Kind     Kind
	Channel  delivery.Channel // of the first half
	To       citizens.ContactValue
	Language string
}

// Draft is a first PIN that is made and written nowhere. It does not print.
type Draft struct {
	credential credential
	messages   []delivery.Message // half by half
}

// ID names the PIN that a draft becomes.
func (d Draft) ID() ID { return d.credential.ID }

// Until is when it is given up, if its halves do not get anywhere.
func (d Draft) Until() time.Time { return d.credential.DueAt.Time }

func (Draft) String() string       { return redacted }
func (Draft) GoString() string     { return redacted }
func (Draft) LogValue() slog.Value { return slog.StringValue(redacted) }

// Format keeps every verb from looking inside.
func (Draft) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalJSON refuses: a draft holds both halves.
func (Draft) MarshalJSON() ([]byte, error) { return nil, errEncoded }

// Draft makes a first PIN. It hashes, so no transaction may be open. Whether
// the person may have one is the caller's question: see Holding and
// Eligibility. ErrNoAddress, ErrNoPost, *BusyError.
func (s *Service) Draft(ctx context.Context, f First) (Draft, error) {
	second, err := s.secondHalf(f.Citizen)
	if err != nil {
		return Draft{}, err
	}
	first := message(f.Citizen, delivery.PINHalf1, f.Channel, f.To.Reveal())
	first.Language, second.Language = f.Language, f.Language
	d, err := s.draft(ctx, f.Citizen, f.Kind, []delivery.Message{first, second})
	return d, wrap("make a first PIN", err)
}

func (s *Service) draft(ctx context.Context, who citizens.Citizen, kind Kind, messages []delivery.Message) (Draft, error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return Draft{}, err
	}
	pin, err := generate(s.policy.Alphabet, initialLength, who, citizens.DateOf(now))
	if err != nil {
		return Draft{}, err
	}
	c := credential{CitizenID: who.ID, Kind: kind, Form: initial, Origin: enrolment, State: PendingDelivery}
	c.DueAt.Time = now.Add(s.policy.Patience)
	if err := s.hashNew(ctx, &c, pin); err != nil {
		return Draft{}, err
	}
	messages[0].Words["Half"], messages[1].Words["Half"] = pin.halves()
	messages[0].Words["Days"] = s.validDays(c.Origin, who)
	messages[1].Words["Days"] = messages[0].Words["Days"]
	return Draft{c, messages}, nil
}

// validDays is for how many days a first PIN is good, as its halves say it.
func (s *Service) validDays(from origin, who citizens.Citizen) string {
	return strconv.Itoa(int(s.policy.validity(from, who.Residence) / (24 * time.Hour)))
}

// Dispatch writes a draft and queues its halves, in the caller's transaction.
// ErrPending says that the person has a PIN, or has one coming, by now.
func (s *Service) Dispatch(ctx context.Context, by audit.Actor, d Draft) error {
	err := s.dispatch(ctx, by, d.credential, d.messages)
	if errors.Is(err, ErrPending) {
		return ErrPending
	}
	return wrap("send a first PIN", err)
}

// Discard takes a first PIN back that nobody has used: its halves are called
// back where they can be, and those that have left open nothing any more. It
// joins the caller's transaction, and reports whether there was anything to take
// back. What the system discards has failed; people discard on purpose.
func (s *Service) Discard(ctx context.Context, by audit.Actor, id ID, why string) (bool, error) {
	if err := s.outbox.Cancel(ctx, string(id)); err != nil {
		return false, wrap("discard a PIN", err)
	}
	list, err := s.store.void(ctx, id, why)
	if err != nil {
		return false, wrap("discard a PIN", err)
	}
	for _, c := range list {
		if err := s.store.endChangesOf(ctx, c.CitizenID); err != nil {
			return false, wrap("discard a PIN", err)
		}
		e := event(audit.PINDiscarded, by, c, why)
		if by.Kind == audit.System {
			e.Outcome = audit.Failed
		}
		if err := s.audit.Record(ctx, e); err != nil {
			return false, wrap("discard a PIN", err)
		}
	}
	return len(list) > 0, nil
}

// Postable says why no second half could leave for somebody: ErrNoAddress,
// ErrNoPost, or nil.
func (s *Service) Postable(who citizens.Citizen) error {
	_, err := s.secondHalf(who)
	return err
}

// Eligibility is the profile that decides who may have a PIN (R7).
func (s *Service) Eligibility() citizens.Eligibility { return s.eligibility }

// Holding reports whether somebody has a PIN, and whether one is on its way.
func (s *Service) Holding(ctx context.Context, id citizens.ID) (live, pending bool, err error) {
	live, pending, err = s.store.holding(ctx, id)
	return live, pending, wrap("look for a PIN", err)
}

// LastLetter is when a second half last left for somebody by post that came to
// nothing, whoever had it sent; the zero time for never.
func (s *Service) LastLetter(ctx context.Context, id citizens.ID) (time.Time, error) {
	at, err := s.store.lastLetter(ctx, id)
	return at, wrap("look for a letter", err)
}

// Stage is how far a first PIN has come.
type Stage string

// The stages; the last four are final.
const (
	StageLeaving Stage = "leaving" // not both halves are out
	StageWaiting Stage = "waiting" // both are: for its first use
	StageUsed    Stage = "used"    // its owner has put one of his own in its place
	StageLost    Stage = "lost"    // a half did not get anywhere
	StageUnused  Stage = "unused"  // nobody used it in time, or it was taken back
	StageEnded   Stage = "ended"   // revoked, or another took its place
)

// Over reports whether a first PIN can still become its owner's.
func (s Stage) Over() bool { return s != StageLeaving && s != StageWaiting }

// Fate is what has become of a first PIN.
type Fate struct {
	PIN   ID
	Stage Stage
	Until time.Time // StageWaiting: when it runs out
	Why   string    // StageEnded
}

// Fates tells what has become of first PINs. One whose row has left for good is
// missing.
func (s *Service) Fates(ctx context.Context, pins ...ID) ([]Fate, error) {
	if len(pins) == 0 {
		return nil, nil
	}
	rows, err := s.store.fates(ctx, pins)
	if err != nil {
		return nil, wrap("follow first PINs", err)
	}
	list := make([]Fate, len(rows))
	for i, row := range rows {
		list[i] = row.fate()
	}
	return list, nil
}

func (r fateRow) fate() Fate {
	f := Fate{PIN: r.ID, Stage: StageEnded, Why: string(r.State)}
	switch r.State {
	case PendingDelivery:
		f.Stage = StageLeaving
	case Issued:
		f.Stage, f.Until = StageWaiting, r.DueAt.Time
	case discarded:
		f.Stage = StageLost
	case ExpiredUnused:
		f.Stage = StageUnused
	case superseded:
		if f.Why = r.EndReason; f.Why == changed {
			f.Stage = StageUsed
		}
	default:
	}
	return f
}
