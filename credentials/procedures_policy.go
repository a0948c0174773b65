package credentials

import (
	"time"
)

// ProcedurePolicy holds the figures of pin-rules §0.2 and §2.4 for procedures.
type ProcedurePolicy struct {
	// RecoveryLife and RevocationLife are how long the code in a mail is good
	// for, Tries how many wrong ones end the request.
	RecoveryLife   time.Duration
	RevocationLife time.Duration
	Tries          int
	// Starts is how many requests of a kind one person may begin in a day.
	Starts int
	// Pause is how long a recovery whose parts have left keeps another from
	// beginning.
	Pause time.Duration
	// CardTries is how many cards that do not match are looked at in a day.
	CardTries int
	// Notices is how many notices of one kind a person gets in a day, and
	// ReportLife how long one can be answered with "that was not me".
	Notices    int
	ReportLife time.Duration
	// Keep is how long the row of a request that is over stays.
	Keep time.Duration
}

// DefaultProcedurePolicy is pin-rules §0.2.
func DefaultProcedurePolicy() ProcedurePolicy {
	const day = 24 * time.Hour
	return ProcedurePolicy{
		RecoveryLife: day, RevocationLife: day, Tries: 5, Starts: 3, Pause: 15 * time.Minute, CardTries: 3,
		Notices: 3, ReportLife: 30 * day, Keep: 90 * day,
	}
}

func (p ProcedurePolicy) valid() bool {
	return p.RecoveryLife > 0 && p.RevocationLife > 0 && p.Tries > 0 && p.Starts > 0 && p.Pause > 0 && p.CardTries > 0 &&
		p.Notices > 0 && p.ReportLife > 0 && p.Keep > 0
}

func (p ProcedurePolicy) life(k procedureKind) time.Duration {
	if k == recovery {
		return p.RecoveryLife
	}
	return p.RevocationLife
}
