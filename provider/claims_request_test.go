package provider

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ente.example/idp/consent"
)

func TestParseClaims(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, text string
		bad        bool
	}{
		{"absent", "", false},
		{"nothing asked", "{}", false},
		{"members of others", `{"verified_claims": [1, {"a": null}]}`, false},
		{"all forms", `{"userinfo": {"email": null, "name": {}}, "id_token": {"acr": {"essential": true, "values": ["a", "b"]}, "sub": {"value": "x"}}}`, false},
		{"null members", `{"userinfo": null, "id_token": null}`, false},
		{"claims nobody knows", `{"userinfo": {"shoe_size": {"essential": false}}}`, false},
		{"no JSON", `userinfo`, true},
		{"an array", `[]`, true},
		{"a string", `"userinfo"`, true},
		{"null", `null`, true},
		{"two documents", `{}{}`, true},
		{"cut off", `{"userinfo": {`, true},
		{"a member is an array", `{"userinfo": ["email"]}`, true},
		{"a claim is true", `{"userinfo": {"email": true}}`, true},
		{"essential is a string", `{"userinfo": {"email": {"essential": "true"}}}`, true},
		{"values is a string", `{"id_token": {"acr": {"values": "a"}}}`, true},
		{"a name twice", `{"userinfo": {}, "userinfo": {}}`, true},
		{"a name twice, deep", `{"id_token": {"sub": {"value": "a", "value": "b"}}}`, true},
		{"too deep", `{"x": ` + strings.Repeat(`[`, 50) + strings.Repeat(`]`, 50) + `}`, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if _, err := parseClaims(row.text); (err != nil) != row.bad {
				t.Errorf("err = %v, want an error: %t", err, row.bad)
			}
		})
	}
}

func TestClaimsAreNamedExactly(t *testing.T) {
	t.Parallel()
	r, err := parseClaims(`{"Userinfo": {"email": null}, "id_token": {"acr": {"Essential": true, "values": ["a"]}, "name": null, "shoe_size": null}}`)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.userinfo) != 0 || r.essentialACR() != nil {
		t.Errorf("names with capitals count: %+v", r)
	}
	if diff := cmp.Diff([]string{"name"}, names(r.idToken, consent.Known)); diff != "" {
		t.Errorf("claims known (-want +got):\n%s", diff)
	}
}

func TestEssentialACRAndSubject(t *testing.T) {
	t.Parallel()
	r, err := parseClaims(`{"id_token": {"acr": {"essential": true, "values": ["a", "b"]}, "sub": {"value": "x"}}, "userinfo": {"sub": {"values": ["y", 7]}}}`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, r.essentialACR()); diff != "" {
		t.Errorf("acr (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"x", "y", "7"}, r.subjects()); diff != "" {
		t.Errorf("subjects (-want +got):\n%s", diff)
	}
	voluntary, err := parseClaims(`{"id_token": {"acr": {"values": ["a"]}}}`)
	if err != nil || voluntary.essentialACR() != nil {
		t.Errorf("a voluntary acr is essential: %v, %v", voluntary.essentialACR(), err)
	}
}

func FuzzParseClaims(f *testing.F) {
	f.Add(`{"userinfo": {"email": {"essential": true}}, "id_token": {"acr": {"values": ["a"]}}}`)
	f.Fuzz(func(_ *testing.T, text string) {
		r, err := parseClaims(text)
		if err == nil {
			_, _, _ = r.essentialACR(), r.subjects(), names(r.userinfo, consent.Known)
		}
	})
}
