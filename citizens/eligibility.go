package citizens

import (
	"fmt"
	"time"
)

// Eligibility is the set of rules that says who may hold and use a PIN (R7).
// It is asked when a PIN is asked for, when it is recovered and at every
// sign-in, because people move and obtain documents.
type Eligibility string

const (
	// Open admits everyone alive: the rules of 2019.
	Open Eligibility = "open"
	// Transition2020 admits whom Current admits, holders of a PIN issued before
	// October 2020, and minors.
	Transition2020 Eligibility = "transition-2020"
	// Current admits residents abroad without an Italian document.
	Current Eligibility = "current"
)

// ParseEligibility reads the name of a profile.
func ParseEligibility(s string) (Eligibility, error) {
	switch e := Eligibility(s); e {
	case Open, Transition2020, Current:
		return e, nil
	}
	return "", fmt.Errorf("no such eligibility profile: %q (open, transition-2020, current)", s)
}

// lastOfOldRules is the end of 30 September 2020 in Italy: PINs issued before
// it stayed valid for a year.
var lastOfOldRules = time.Date(2020, time.October, 1, 0, 0, 0, 0, time.FixedZone("CEST", 2*60*60))

const adult = 18

// Excludes reports whether the profile excludes the person, and by which field
// of the registry, as "residence_country is IT". pinIssued is when the PIN in
// question was issued, nil if there is none yet. The zero Eligibility is Current.
func (e Eligibility) Excludes(c Citizen, pinIssued *time.Time, now time.Time) (reason string, excluded bool) {
	if c.DeceasedOn != nil {
		return "deceased_on is " + c.DeceasedOn.String(), true
	}
	switch e {
	case Open:
		return "", false
	case Transition2020:
		if pinIssued != nil && pinIssued.Before(lastOfOldRules) || c.minor(DateOf(now)) {
			return "", false
		}
	case Current:
	}
	return excludedNow(c)
}

// excludedNow admits on what the registry says, never on what it does not say:
// somebody without a known country is not a resident abroad.
func excludedNow(c Citizen) (reason string, excluded bool) {
	switch {
	case c.Residence.Country == "":
		return "residence_country is not known", true
	case c.Residence.Country == "IT":
		return "residence_country is IT", true
	case c.ItalianDocument:
		return "italian_document is yes", true
	case c.Category == Intermediary:
		return "category is " + string(c.Category), true
	}
	return "", false
}

// minor reports whether the person is surely under age; where the registry has
// no day of birth, the codice fiscale tells.
func (c Citizen) minor(today Date) bool {
	birth := c.BirthDate
	if birth.IsZero() {
		read, ok := c.FiscalCode.BirthDate(today)
		if !ok {
			return false
		}
		birth = read
	}
	return birth.Age(today) < adult
}
