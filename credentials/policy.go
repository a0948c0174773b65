package credentials

import (
	"time"

	"ente.example/idp/citizens"
)

// Policy holds the figures of pin-rules §0.2 that concern a PIN.
type Policy struct {
	// Alphabet is what generated PINs are made of; input takes both.
	Alphabet Alphabet
	// ChangeMonths and ChangeMonthsIntermediary are the calendar months after
	// which a PIN must be changed (R27).
	ChangeMonths             int
	ChangeMonthsIntermediary int
	// ValidityItaly and ValidityAbroad are how long a first PIN may wait for
	// its first use, from the hand-over of both halves.
	ValidityItaly  time.Duration
	ValidityAbroad time.Duration
	// ValidityRecovery is the same for a first PIN that a recovery has made.
	ValidityRecovery time.Duration
	// Patience is how long a PIN may be on its way before it is given up.
	Patience time.Duration
	// CandidateLife is how long a new PIN is shown, Regenerations how often
	// another may be asked for, Slips how often it may be copied wrongly.
	CandidateLife time.Duration
	Regenerations int
	Slips         int
	// InactiveMonths and InactiveMonthsIntermediary are the calendar months
	// after which a PIN that nobody used is inactive; zero for never.
	InactiveMonths             int
	InactiveMonthsIntermediary int
	// Dismissal is how long somebody who is no longer eligible keeps the PIN.
	Dismissal time.Duration
	// KindAfterRecovery is how long a recovered PIN counts as ordinario.
	KindAfterRecovery time.Duration
	// Keep is how long the row of a dead PIN stays, without its hash.
	Keep time.Duration
	// Procedures are the figures of recovery and revocation.
	Procedures ProcedurePolicy
}

// DefaultPolicy is pin-rules §0.2.
func DefaultPolicy() Policy {
	const day = 24 * time.Hour
	return Policy{
		Alphabet: Digits, ChangeMonths: 6, ChangeMonthsIntermediary: 3,
		ValidityItaly: 60 * day, ValidityAbroad: 120 * day, ValidityRecovery: 7 * day, Patience: 7 * day,
		CandidateLife: 10 * time.Minute, Regenerations: 3, Slips: 5, Keep: 731 * day,
		InactiveMonthsIntermediary: 6, Dismissal: 60 * day, KindAfterRecovery: 7 * day,
		Procedures: DefaultProcedurePolicy(),
	}
}

func (p Policy) valid() bool {
	return p.Alphabet.valid() && p.ChangeMonths > 0 && p.ChangeMonthsIntermediary > 0 && p.ValidityItaly > 0 && p.ValidityAbroad > 0 &&
		p.ValidityRecovery > 0 && p.Procedures.valid() && p.Patience > 0 && p.CandidateLife > 0 && p.Regenerations >= 0 && p.Slips > 0 && p.Keep > 0 &&
		p.InactiveMonths >= 0 && p.InactiveMonthsIntermediary >= 0 && p.Dismissal > 0 && p.KindAfterRecovery > 0
}

// due is when a PIN changed at that time must be changed again: so many
// calendar months later, by the calendar of Italy, and never beyond the end of
// the month arrived at. It follows from the category as it is today, so that a
// person who becomes an intermediary is due sooner at once.
func (p Policy) due(changed time.Time, category citizens.Category, italy *time.Location) time.Time {
	months := p.ChangeMonths
	if category == citizens.Intermediary {
		months = min(months, p.ChangeMonthsIntermediary)
	}
	return monthsAfter(changed, months, italy)
}

func monthsAfter(at time.Time, months int, italy *time.Location) time.Time {
	day := citizens.DateOf(at).AddMonths(months)
	t := at.In(italy)
	return time.Date(day.Year, day.Month, day.Day, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), italy).UTC()
}

// inactiveAt is when a PIN has not been used for so long that it must be
// recovered (C9). It is false where nothing of the kind happens.
func (p Policy) inactiveAt(c credential, category citizens.Category, italy *time.Location) (time.Time, bool) {
	months := p.InactiveMonths
	if category == citizens.Intermediary {
		months = p.InactiveMonthsIntermediary
	}
	used := c.ChangedAt.Time
	if c.LastAccessAt.After(used) {
		used = c.LastAccessAt.Time
	}
	if months == 0 || used.IsZero() {
		return time.Time{}, false
	}
	return monthsAfter(used, months, italy), true
}

func (p Policy) unused(c credential, category citizens.Category, italy *time.Location, now time.Time) bool {
	at, on := p.inactiveAt(c, category, italy)
	return on && !at.After(now)
}

// shutOut reports whether a PIN opens nothing to somebody whom the profile
// excludes: at once to the dead and where the profile is another than the PIN was
// given under, else once the while is over that he was given.
func (c credential) shutOut(who citizens.Citizen, profile citizens.Eligibility) bool {
	return who.DeceasedOn != nil || c.State == Dismissed || c.givenUnderAnother(profile) || !c.DismissalAt.IsZero() && !c.DismissalAt.After(c.Now.Time)
}

// givenUnderAnother tells somebody whom the institution's decision excludes,
// which has its own date, from somebody who has moved.
func (c credential) givenUnderAnother(profile citizens.Eligibility) bool {
	return c.Profile != "" && c.Profile != profile
}

// before is the state of a dismissed PIN had it never been dismissed.
func (c credential) before() State {
	if c.Form == initial {
		return Issued
	}
	return Active
}

// kind is what a PIN counts as. A recovery needs two contacts and no PIN, so
// for some days it does not give what the PIN before it gave (pin-rules §5.4).
func (c credential) kind() Kind {
	if c.Form == initial && c.Origin == recovered || c.OrdinaryUntil.After(c.Now.Time) {
		return Ordinario
	}
	return c.Kind
}

// validity is how long a first PIN waits for its owner, who may live where the
// post takes longer.
func (p Policy) validity(from origin, home citizens.Address) time.Duration {
	if from == recovered {
		return p.ValidityRecovery // it comes by telephone and mail
	}
	if home.Country == "IT" || home.Country == "" {
		return p.ValidityItaly
	}
	return p.ValidityAbroad
}

// state is the state of a row as it is told outside.
func (p Policy) state(c credential, who citizens.Citizen, italy *time.Location, now time.Time) State {
	switch {
	case c.final():
		return c.State
	case !c.SuspendedAt.IsZero():
		return Suspended
	case c.State == Issued && !c.DueAt.After(now):
		return ExpiredUnused // before the sweep gets to it
	case c.State == Active && p.unused(c, who.Category, italy, now):
		return Inactive // before a look finds it so
	case c.State == Active && !p.due(c.ChangedAt.Time, who.Category, italy).After(now):
		return ChangeDue
	}
	return c.State
}
