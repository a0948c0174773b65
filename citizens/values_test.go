package citizens

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDatesAreReadInBothForms(t *testing.T) {
	want := Date{2026, 3, 9}
	for _, s := range []string{"2026-03-09", "09/03/2026", "9/3/2026", " 09/03/2026 "} {
		if got, err := ParseDate(s); err != nil || got != want {
			t.Errorf("%q: got %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "2026-02-30", "31/04/2026", "2026-3-9", "09/03/26", "0000-01-01", "2026-03-09T00:00:00Z", "oggi"} {
		if got, err := ParseDate(s); err == nil {
			t.Errorf("%q is read as %v", s, got)
		}
	}
}

func TestR27MonthsAreClampedToTheMonthsEnd(t *testing.T) {
	for _, c := range []struct {
		from   Date
		months int
		want   Date
	}{
		{Date{2026, 8, 31}, 6, Date{2027, 2, 28}},
		{Date{2027, 8, 31}, 6, Date{2028, 2, 29}},
		{Date{2026, 11, 30}, 3, Date{2027, 2, 28}},
		{Date{2026, 1, 15}, 12, Date{2027, 1, 15}},
		{Date{2026, 3, 31}, -1, Date{2026, 2, 28}},
	} {
		if got := c.from.AddMonths(c.months); got != c.want {
			t.Errorf("%v and %d months: got %v, want %v", c.from, c.months, got, c.want)
		}
	}
}

func TestADayBeginsInItaly(t *testing.T) {
	if got := DateOf(time.Date(2026, 7, 31, 22, 0, 0, 0, time.UTC)); got != (Date{2026, 8, 1}) {
		t.Errorf("midnight in Rome belongs to %v", got)
	}
	if got := DateOf(time.Date(2026, 12, 31, 22, 59, 0, 0, time.UTC)); got != (Date{2026, 12, 31}) {
		t.Errorf("a minute to midnight in Rome belongs to %v", got)
	}
}

func TestDatesSurviveStoring(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := dateIn(time.Unix(rapid.Int64Range(-5e9, 5e9).Draw(t, "seconds"), 0).UTC())
		stored, err := d.Value()
		if err != nil {
			t.Fatal(err)
		}
		for _, column := range []any{stored, []byte(d.String()), d.midnight()} {
			var back Date
			if err := back.Scan(column); err != nil || back != d {
				t.Errorf("%v comes back from %T as %v, %v", d, column, back, err)
			}
		}
	})
	if v, err := (Date{}).Value(); v != nil || err != nil {
		t.Errorf("an unknown day is stored as %v, %v", v, err)
	}
}

func TestR36ContactsAreNormalised(t *testing.T) {
	for _, c := range []struct {
		kind        ContactKind
		input, want string
	}{
		{Mobile, "+39 340 123 4567", "+393401234567"},
		{Mobile, "340-1234567", "+393401234567"},
		{Mobile, "0039 340 1234567", "+393401234567"},
		{Mobile, "+49 (151) 23456789", "+4915123456789"},
		{Mobile, "+1 212 555 0123", "+12125550123"}, // the plan does not tell mobiles apart
		{Email, " M.Rossi@Posta.Example ", "M.Rossi@posta.example"},
		{PEC, "mario+pin@pec.example.it", "mario+pin@pec.example.it"},
	} {
		v, err := ParseContact(c.kind, c.input)
		if err != nil || v.Reveal() != c.want || v.Kind() != c.kind {
			t.Errorf("%q: got %q, %v; want %q", c.input, v.Reveal(), err, c.want)
		}
	}
}

func TestR16ContactsAreRefusedWithAReason(t *testing.T) {
	for _, c := range []struct {
		kind  ContactKind
		input string
		want  error
	}{
		{Mobile, "", ErrPhone},
		{Mobile, "340", ErrPhone},
		{Mobile, "340-CALL-ME", ErrPhone},
		{Mobile, "+999 1234567", ErrPhone},
		{Mobile, "06 164164000", ErrNotMobile},
		{Mobile, "+49 30 901820", ErrNotMobile},
		{Mobile, "800 123456", ErrNotMobile},
		{Email, "", ErrMailAddress},
		{Email, "mario", ErrMailAddress},
		{Email, "mario@localhost", ErrMailAddress},
		{Email, "mario@@example.it", ErrMailAddress},
		{Email, "Mario <mario@example.it>", ErrMailAddress},
		{Email, "mario@example.it\r\nBcc: x@example.it", ErrMailAddress},
		{Email, "mario.@example.it", ErrMailAddress},
		{Email, "mario@-example.it", ErrMailAddress},
		{PEC, "màrio@example.it", ErrMailAddress},
	} {
		if v, err := ParseContact(c.kind, c.input); !errors.Is(err, c.want) || !v.IsZero() {
			t.Errorf("%s %q: got %v, want %v", c.kind, c.input, err, c.want)
		}
	}
	if got, err := ParsePhone("06 164164000"); err != nil || got != "+3906164164000" {
		t.Errorf("a landline to call back: got %q, %v", got, err)
	}
}

func contact(t *testing.T, kind ContactKind, s string) ContactValue {
	t.Helper()
	v, err := ParseContact(kind, s)
	if err != nil {
		t.Fatalf("ParseContact(%s, %q): %v", kind, s, err)
	}
	return v
}

func TestMaskedContacts(t *testing.T) {
	for _, c := range []struct {
		kind        ContactKind
		input, want string
	}{
		{Mobile, "+49 151 2345 1234", "+49 *** *** 12 34"},
		{Mobile, "340 1230034", "+39 *** *** 00 34"},
		{Email, "mario@posta.example", "m***@p***.example"},
		{PEC, "m.rossi@cert.example.it", "m***@c***.it"},
	} {
		if got := contact(t, c.kind, c.input).Masked(); got != c.want {
			t.Errorf("%q: got %q, want %q", c.input, got, c.want)
		}
	}
	if got := (ContactValue{}).Masked(); got != "" {
		t.Errorf("no contact is shown as %q", got)
	}
}

func TestR11EqualAddressesAreOneContact(t *testing.T) {
	email, pec := contact(t, Email, "Mario@Example.it"), contact(t, PEC, "mario@example.IT")
	if !email.Same(pec) {
		t.Error("an e-mail and a PEC address that are equal count as two")
	}
	if email.Same(contact(t, Email, "maria@example.it")) || (ContactValue{}).Same(ContactValue{}) {
		t.Error("different addresses, or none, count as the same")
	}
}

func card(t *testing.T, number, expiry string) HealthCard {
	t.Helper()
	n, err := ParseCardNumber(number)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ParseDate(expiry)
	if err != nil {
		t.Fatal(err)
	}
	return HealthCard{n, d}
}

func TestHealthCard(t *testing.T) {
	const number = "80380 00030 12345 67890"
	for _, c := range []struct {
		name, number, expiry string
		odd                  []CardWarning
		err                  error
	}{
		{"valid", number, "2030-01-01", nil, nil},
		{"last day", number, "2026-11-22", nil, nil},
		{"the day after", number, "2026-11-21", nil, ErrCardExpired},
		{"six years and a month", number, "2032-12-22", nil, nil},
		{"a day more", number, "2032-12-23", []CardWarning{CardExpiryFar}, nil},
		{"odd prefix", "80381000301234567890", "2030-01-01", []CardWarning{CardPrefixOdd}, nil},
	} {
		odd, err := card(t, c.number, c.expiry).Check(today)
		if !slices.Equal(odd, c.odd) || !errors.Is(err, c.err) {
			t.Errorf("%s: got %v, %v; want %v, %v", c.name, odd, err, c.odd, c.err)
		}
	}
	for _, bad := range []string{"", "8038000030123456789", "803800003012345678901", "8038000030123456789O"} {
		if _, err := ParseCardNumber(bad); !errors.Is(err, ErrCardNumber) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestR48OnlyTheCurrentCardMatches(t *testing.T) {
	mine := card(t, "80380000301234567890", "2030-01-01")
	if !mine.Matches(card(t, "80380 000301234567890", "01/01/2030")) {
		t.Error("the same card does not match")
	}
	for name, other := range map[string]HealthCard{
		"number":         card(t, "80380000301234567891", "2030-01-01"),
		"expiry":         card(t, "80380000301234567890", "2030-01-02"),
		"expiry unknown": {Number: mine.Number},
	} {
		if mine.Matches(other) || other.Matches(mine) {
			t.Errorf("another %s matches", name)
		}
	}
	if unknown := (HealthCard{Number: mine.Number}); unknown.Matches(unknown) || (HealthCard{}).Matches(HealthCard{}) {
		t.Error("a card that is not known whole matches")
	}
}

func TestR7Eligibility(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	abroad := Citizen{Residence: Address{Country: "DE"}, Category: Ordinary, BirthDate: Date{1980, 1, 1}}
	with := func(change func(*Citizen)) Citizen {
		c := abroad
		change(&c)
		return c
	}
	before := lastOfOldRules.Add(-time.Second)
	italy := with(func(c *Citizen) { c.Residence.Country = "IT" })
	for _, c := range []struct {
		name    string
		profile Eligibility
		citizen Citizen
		issued  *time.Time
		want    string
	}{
		{"open, in Italy", Open, italy, nil, ""},
		{"open, dead", Open, with(func(c *Citizen) { c.DeceasedOn = &Date{2024, 5, 6} }), nil, "deceased_on is 2024-05-06"},
		{"current, abroad", Current, abroad, nil, ""},
		{"current, in Italy", Current, italy, nil, "residence_country is IT"},
		{"current, who knows where", Current, with(func(c *Citizen) { c.Residence.Country = "" }), nil, "residence_country is not known"},
		{"current, with a document", Current, with(func(c *Citizen) { c.ItalianDocument = true }), nil, "italian_document is yes"},
		{"current, intermediary", Current, with(func(c *Citizen) { c.Category = Intermediary }), nil, "category is intermediary"},
		{"current, dead", Current, with(func(c *Citizen) { c.DeceasedOn = &Date{2024, 5, 6} }), nil, "deceased_on is 2024-05-06"},
		{"current, an old PIN", Current, italy, &before, "residence_country is IT"},
		{"zero is current", "", italy, nil, "residence_country is IT"},
		{"transition, abroad", Transition2020, abroad, nil, ""},
		{"transition, no PIN yet", Transition2020, italy, nil, "residence_country is IT"},
		{"transition, an old PIN", Transition2020, italy, &before, ""},
		{"transition, a PIN of October", Transition2020, italy, &lastOfOldRules, "residence_country is IT"},
		{"transition, 17", Transition2020, with(func(c *Citizen) { c.Residence.Country, c.BirthDate = "IT", Date{2008, 11, 23} }), nil, ""},
		{"transition, 18 today", Transition2020, with(func(c *Citizen) { c.Residence.Country, c.BirthDate = "IT", Date{2008, 11, 22} }), nil, "residence_country is IT"},
		{"transition, a minor by the code", Transition2020, Citizen{FiscalCode: FiscalCode{code: "NCCZOE10E44D612J"}}, nil, ""},
		{"transition, dead", Transition2020, with(func(c *Citizen) { c.DeceasedOn = &Date{2024, 5, 6} }), &before, "deceased_on is 2024-05-06"},
	} {
		reason, excluded := c.profile.Excludes(c.citizen, c.issued, now)
		if reason != c.want || excluded != (c.want != "") {
			t.Errorf("%s: got %q, %t; want %q", c.name, reason, excluded, c.want)
		}
	}
}

func TestEligibilityNames(t *testing.T) {
	for _, name := range []string{"open", "transition-2020", "current"} {
		if e, err := ParseEligibility(name); err != nil || string(e) != name {
			t.Errorf("%s: got %q, %v", name, e, err)
		}
	}
	if _, err := ParseEligibility("closed"); err == nil {
		t.Error("a profile that does not exist is accepted")
	}
}

func TestCountries(t *testing.T) {
	for _, s := range []string{"IT", "de", " CH ", "GB", "XK"} {
		if got, err := ParseCountry(s); err != nil || len(got) != 2 {
			t.Errorf("%q: got %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "UK", "EU", "YU", "DD", "ZZ", "ITA", "380", "Italia", "QQ"} {
		if got, err := ParseCountry(s); err == nil {
			t.Errorf("%q is read as %q", s, got)
		}
	}
}

// What stands on an envelope posted in Italy.
func TestPostalAddress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		home Address
		want string
	}{
		"abroad":          {Address{"Musterstraße 12", "80331", "München", "", "DE"}, "Musterstraße 12\n80331 München\nGERMANIA"},
		"at home":         {Address{"Via Roma 1", "00100", "Roma", "RM", "IT"}, "Via Roma 1\n00100 Roma RM"},
		"country unknown": {Address{"Via Roma 1", "00100", "Roma", "", ""}, "Via Roma 1\n00100 Roma"},
		"no such country": {Address{"Street 1", "", "Town", "", "Q1"}, "Street 1\nTown\nQ1"},
	} {
		if got := c.home.Postal(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
