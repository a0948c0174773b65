package consent

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ente.example/idp/citizens"
	"ente.example/idp/login"
)

func mario(t *testing.T) citizens.Citizen {
	t.Helper()
	code, err := citizens.ParseFiscalCode("RSSMRA80A01H501U")
	if err != nil {
		t.Fatal(err)
	}
	mail, err := citizens.ParseContact(citizens.Email, "mario@posta.example")
	if err != nil {
		t.Fatal(err)
	}
	mobile, err := citizens.ParseContact(citizens.Mobile, "+491701234567")
	if err != nil {
		t.Fatal(err)
	}
	return citizens.Citizen{
		ID: "0190f000-0000-7000-8000-000000000001", FiscalCode: code, GivenName: "Mario", FamilyName: "Rossi",
		Sex: citizens.Male, BirthDate: citizens.Date{Year: 1980, Month: 1, Day: 1}, BirthPlace: "H501",
		Residence: citizens.Address{Street: "Leopoldstr. 1", PostalCode: "80802", Locality: "München", Country: "DE"},
		Contacts:  citizens.Contacts{Email: citizens.Contact{Value: mail, Verified: true}, Mobile: citizens.Contact{Value: mobile}},
	}
}

func TestValuesOfEachScope(t *testing.T) {
	t.Parallel()
	for scope, want := range map[string]string{
		"profile":        `{"name":"Mario Rossi","given_name":"Mario","family_name":"Rossi","gender":"male","birthdate":"1980-01-01"}`,
		"email":          `{"email":"mario@posta.example","email_verified":true}`,
		"phone":          `{"phone_number":"+491701234567","phone_number_verified":false}`,
		"address":        `{"address":{"formatted":"Leopoldstr. 1\n80802 München\nDE","street_address":"Leopoldstr. 1","postal_code":"80802","locality":"München","country":"DE"}}`,
		"fiscal_code":    `{"https://attributes.eid.gov.it/fiscal_number":"TINIT-RSSMRA80A01H501U","place_of_birth":{"locality":"H501"}}`,
		"pin":            `{"pin_kind":"dispositivo"}`,
		"openid":         `{}`,
		"offline_access": `{}`,
	} {
		got, err := json.Marshal(Values(mario(t), "dispositivo", ClaimsOf([]string{scope})))
		if err != nil {
			t.Fatal(err)
		}
		var g, w any
		if err := json.Unmarshal(got, &g); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(want), &w); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, g); diff != "" {
			t.Errorf("scope %s (-want +got):\n%s", scope, diff)
		}
	}
}

func TestWhatTheRegistryDoesNotKnowIsLeftOut(t *testing.T) {
	t.Parallel()
	c := citizens.Citizen{FiscalCode: mario(t).FiscalCode, GivenName: "Mario", FamilyName: "Rossi"}
	want := map[string]any{
		"name": "Mario Rossi", "given_name": "Mario", "family_name": "Rossi", FiscalNumber: "TINIT-RSSMRA80A01H501U",
	}
	if diff := cmp.Diff(want, Values(c, "", Names())); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestAskedJoinsScopesAndSingleClaims(t *testing.T) {
	t.Parallel()
	got := Asked(login.Wants{Scopes: []string{"openid", "pin"}, Claims: []string{"email", "pin_kind", "shoe_size"}})
	if diff := cmp.Diff([]string{"email", "pin_kind"}, got); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if Known("shoe_size") || !Known("birthdate") {
		t.Error("Known: want birthdate and not shoe_size")
	}
}

func TestAttributesByNameAndValue(t *testing.T) {
	t.Parallel()
	type shown struct {
		Claim, Value string
		New          bool
	}
	for _, c := range []struct {
		name  string
		wants login.Wants
		kept  *kept
		want  []shown
	}{
		{
			"a whole name is not said twice", login.Wants{Scopes: []string{"profile"}}, nil,
			[]shown{{"given_name", "Mario", false}, {"family_name", "Rossi", false}, {"gender", "male", false}, {"birthdate", "1980-01-01", false}},
		},
		{"but it is said", login.Wants{Claims: []string{"name", "given_name"}}, nil, []shown{{"name", "Mario Rossi", false}, {"given_name", "Mario", false}}},
		{
			"names of places", login.Wants{Scopes: []string{"fiscal_code"}}, nil,
			[]shown{{FiscalNumber, "RSSMRA80A01H501U", false}, {"place_of_birth", "Roma (RM)", false}},
		},
		{
			"what is new", login.Wants{Scopes: []string{"email", "pin"}}, &kept{claims: []string{"pin_kind"}},
			[]shown{{"email", "mario@posta.example", true}, {"pin_kind", "ordinario", false}},
		},
		{
			"a claim without a row makes its row new", login.Wants{Scopes: []string{"email"}}, &kept{claims: []string{"email"}},
			[]shown{{"email", "mario@posta.example", true}},
		},
		{"alone it has its row", login.Wants{Claims: []string{"phone_number_verified"}}, nil, []shown{{"phone_number_verified", "false", false}}},
	} {
		var got []shown
		for _, a := range attributes(c.wants, subject{mario(t), "ordinario"}, c.kept) {
			got = append(got, shown{a.Claim, a.Value, a.New})
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestAPlaceThatNoTableHasIsShownByItsCode(t *testing.T) {
	t.Parallel()
	c := mario(t)
	c.BirthPlace = "M999"
	if got := placeName(subject{c, ""}); got != "M999" {
		t.Errorf("got %q, want M999", got)
	}
}
