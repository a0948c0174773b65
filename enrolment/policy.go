package enrolment

import (
	"time"

	"ente.example/idp/citizens"
)

// Policy holds the figures of a request for a PIN (pin-rules §0.2).
type Policy struct {
	// CodeLife is how long a contact may take to be proved, CodeTries how many
	// wrong codes end the request.
	CodeLife  time.Duration
	CodeTries int
	// PerDay is how many requests one person, and one contact, may begin in a
	// day: more are answered like all others and forgotten.
	PerDay int
	// Patience is how long the archive may be away before the contact centre
	// takes over, Retry the first pause between two looks.
	Patience, Retry time.Duration
	// PostItaly and PostAbroad are how long a letter may take before it counts
	// as lost, Reissues how often two new halves leave without a call.
	PostItaly, PostAbroad time.Duration
	Reissues              int
	// LetterPause is how long after a letter the next to the same person waits
	// for a call, and MovedPause the same after the registry has learnt of
	// another residence (pin-rules §5.5).
	LetterPause, MovedPause time.Duration
	// CallAttempts is how often somebody is called, CallDays over how many
	// working days. A call is assigned for CallLease.
	CallAttempts int
	CallDays     int
	CallLease    time.Duration
	// IdentityTries is how often somebody may fail to say who he is before he
	// has to wait IdentityPause.
	IdentityTries int
	IdentityPause time.Duration
	// Keep is how long the rows of what is over stay, without what was typed.
	Keep time.Duration
}

// DefaultPolicy is pin-rules §0.2, §2.5 and §4.5.
func DefaultPolicy() Policy {
	const day = 24 * time.Hour
	return Policy{
		CodeLife: day, CodeTries: 5, PerDay: 3, Patience: 3 * day, Retry: time.Minute,
		PostItaly: 21 * day, PostAbroad: 42 * day, Reissues: 1, LetterPause: 30 * day, MovedPause: 30 * day,
		CallAttempts: 3, CallDays: 10, CallLease: 30 * time.Minute, IdentityTries: 2, IdentityPause: day, Keep: 90 * day,
	}
}

func (p Policy) valid() bool {
	return p.CodeLife > 0 && p.CodeTries > 0 && p.PerDay > 0 && p.Patience > 0 && p.Retry > 0 && p.PostItaly > 0 && p.PostAbroad > 0 &&
		p.Reissues >= 0 && p.LetterPause > 0 && p.MovedPause > 0 && p.CallAttempts > 0 && p.CallDays > 0 && p.CallLease > 0 && p.IdentityTries > 0 && p.IdentityPause > 0 && p.Keep > 0
}

// postal is how long a letter to somebody's home may take.
func (p Policy) postal(home citizens.Address) time.Duration {
	if home.Country == "IT" || home.Country == "" {
		return p.PostItaly
	}
	return p.PostAbroad
}
