package templates

import (
	"strconv"
	"time"
)

// Figures are what an institution has set and people are told: how long a code
// is good for, and how many wrong ones end what it is for. The zero value of a
// field is the default: 24 hours, and five unless another is named.
type Figures struct {
	RecoveryCode   time.Duration
	RevocationCode time.Duration
	ProcedureTries int // of a recovery or a revocation
	RequestCode    time.Duration
	RequestTries   int // of a request for a first PIN
	RequestsPerDay int // of one person, or by one contact: three
	ContactTries   int // of a change of contacts
}

// tell lets every message of a language name the figures.
func (w *words) tell(f Figures) error {
	w.figures = map[string]any{}
	for name, d := range map[string]time.Duration{
		"RecoveryLife": f.RecoveryCode, "RevocationLife": f.RevocationCode, "RequestLife": f.RequestCode,
	} {
		if d <= 0 {
			d = 24 * time.Hour
		}
		text, err := w.lasting(d)
		if err != nil {
			return err
		}
		w.figures[name] = text
	}
	for name, n := range map[string][2]int{
		"ProcedureTries": {f.ProcedureTries, 5}, "RequestTries": {f.RequestTries, 5}, "ContactTries": {f.ContactTries, 5}, "RequestsPerDay": {f.RequestsPerDay, 3},
	} {
		if n[0] <= 0 {
			n[0] = n[1]
		}
		w.figures[name] = strconv.Itoa(n[0])
	}
	return nil
}
