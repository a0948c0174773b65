package templates

import (
	"strconv"
	"time"
)

// Figures are what an institution has set and people are told: how long a code
// is good for, and how many wrong ones end what it is for. The zero value of a
// field is the default: 24 hours, and five.
type Figures struct {
	RecoveryCode   time.Duration
	RevocationCode time.Duration
	ProcedureTries int // of a recovery or a revocation
	RequestCode    time.Duration
	RequestTries   int // of a request for a first PIN
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
	for name, n := range map[string]int{"ProcedureTries": f.ProcedureTries, "RequestTries": f.RequestTries, "ContactTries": f.ContactTries} {
		if n <= 0 {
			n = 5
		}
		w.figures[name] = strconv.Itoa(n)
	}
	return nil
}
