package consent

import (
	"slices"
	"strings"
	"sync"

	"ente.example/idp/citizens"
	"ente.example/idp/login"
)

// FiscalNumber is the claim that carries the codice fiscale, named as SPID and
// CIE name it.
const FiscalNumber = "https://attributes.eid.gov.it/fiscal_number"

// claim is an attribute as services know it. value is what userinfo says, nil
// where the registry knows nothing; text is what the page shows of it.
type claim struct {
	name, scope string
	value       func(subject) any
	text        func(subject) string
}

// subject is a person, with the kind of PIN that signs her in.
type subject struct {
	citizens.Citizen
	kind string
}

// catalogue lists every claim, in the order of the page.
var catalogue = sync.OnceValue(func() []claim {
	return []claim{
		stated("name", "profile", func(s subject) string { return strings.TrimSpace(s.GivenName + " " + s.FamilyName) }),
		stated("given_name", "profile", func(s subject) string { return s.GivenName }),
		stated("family_name", "profile", func(s subject) string { return s.FamilyName }),
		{FiscalNumber, "fiscal_code", fiscalNumber, func(s subject) string { return s.FiscalCode.Reveal() }},
		stated("gender", "profile", gender),
		stated("birthdate", "profile", func(s subject) string { return s.BirthDate.String() }),
		{"place_of_birth", "fiscal_code", placeOfBirth, placeName},
		stated("email", "email", func(s subject) string { return s.Contacts.Email.Value.Reveal() }),
		counts("email_verified", "email", citizens.Email),
		stated("phone_number", "phone", func(s subject) string { return s.Contacts.Mobile.Value.Reveal() }),
		counts("phone_number_verified", "phone", citizens.Mobile),
		{"address", "address", address, func(s subject) string { return formatted(s.Residence) }},
		stated("pin_kind", "pin", func(s subject) string { return s.kind }),
	}
})

// stated is a claim whose value is a text, and the page shows just that.
func stated(name, scope string, of func(subject) string) claim {
	return claim{name, scope, func(s subject) any { return orNil(of(s)) }, of}
}

// counts is the claim that a contact is verified.
func counts(name, scope string, kind citizens.ContactKind) claim {
	value := func(s subject) any {
		if contact := s.Contacts.Of(kind); !contact.IsZero() {
			return contact.Verified
		}
		return nil
	}
	return claim{name, scope, value, func(s subject) string {
		switch value(s) {
		case true:
			return "true"
		case false:
			return "false"
		}
		return ""
	}}
}

func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func gender(s subject) string {
	switch s.Sex {
	case citizens.Male:
		return "male"
	case citizens.Female:
		return "female"
	}
	return ""
}

func fiscalNumber(s subject) any {
	code := s.FiscalCode.Reveal()
	if code == "" {
		return nil
	}
	return "TINIT-" + code
}

func placeOfBirth(s subject) any {
	if s.BirthPlace == "" {
		return nil
	}
	return map[string]string{"locality": s.BirthPlace}
}

// placeName is the place's name on the day of birth; a code that no table has
// is shown as it is.
func placeName(s subject) string {
	for _, day := range []citizens.Date{s.BirthDate, {}} {
		if place, ok := citizens.Places().Lookup(s.BirthPlace, day); ok {
			return place.String()
		}
	}
	return s.BirthPlace
}

// address is the claim of OpenID Connect Core, section 5.1.1; members that are
// not known are left out.
func address(s subject) any {
	r := s.Residence
	if r.IsZero() {
		return nil
	}
	members := map[string]string{
		"formatted": formatted(r), "street_address": r.Street, "postal_code": r.PostalCode,
		"locality": r.Locality, "region": r.Region, "country": r.Country,
	}
	for name, value := range members {
		if value == "" {
			delete(members, name)
		}
	}
	return members
}

func formatted(r citizens.Address) string {
	lines := []string{r.Street, strings.TrimSpace(r.PostalCode + " " + r.Locality), r.Region, r.Country}
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return l == "" }), "\n")
}

// Names lists every claim about a person that this provider can make.
func Names() []string {
	var names []string
	for _, c := range catalogue() {
		names = append(names, c.name)
	}
	return names
}

// Known reports whether there is a claim of this name.
func Known(name string) bool { return slices.Contains(Names(), name) }

// ClaimsOf lists the claims that scopes stand for, in the catalogue's order.
func ClaimsOf(scopes []string) []string {
	var names []string
	for _, c := range catalogue() {
		if slices.Contains(scopes, c.scope) {
			names = append(names, c.name)
		}
	}
	return names
}

// Asked lists all claims that a request asks for, through scopes or one by
// one. What is not in the catalogue asks for nothing.
func Asked(w login.Wants) []string {
	all := append(ClaimsOf(w.Scopes), w.Claims...)
	return slices.DeleteFunc(Names(), func(name string) bool { return !slices.Contains(all, name) })
}

// Values are the claims of those names about a person, as userinfo and ID
// tokens carry them. What the registry does not know is left out.
func Values(c citizens.Citizen, kind string, names []string) map[string]any {
	values := map[string]any{}
	for _, entry := range catalogue() {
		if !slices.Contains(names, entry.name) {
			continue
		}
		if v := entry.value(subject{c, kind}); v != nil {
			values[entry.name] = v
		}
	}
	return values
}
