package provider

import (
	"strings"
	"testing"

	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// The same person has one sub in a sector, another in the next, and it tells
// nothing about the codice fiscale.
func TestSubject(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		client := func(redirect, more string) clients.Client {
			c, _ := h.register(`{"redirect_uris": ["` + redirect + `"]` + more + `}`)
			return c
		}
		a, b := h.people(), h.person(anna)
		sub := h.provider.subject
		one, same := client("https://a.example/cb", ""), client("https://a.example:8443/other", "")
		other := client("https://b.example/cb", "")
		named := client("https://c.example/cb", `, "sector": "a.example"`)
		public, alsoPublic := client("https://a.example/cb", `, "subject_type": "public"`), client("https://b.example/cb", `, "subject_type": "public"`)
		for name, pair := range map[string][2]string{
			"one host":        {sub(one, a), sub(same, a)},
			"one sector":      {sub(one, a), sub(named, a)},
			"public":          {sub(public, a), sub(alsoPublic, a)},
			"at another node": {sub(one, a), h.another(db).provider.subject(one, a)},
		} {
			if pair[0] != pair[1] || len(pair[0]) != 43 {
				t.Errorf("%s: %q and %q, want the same", name, pair[0], pair[1])
			}
		}
		seen := map[string]string{}
		for name, got := range map[string]string{
			"pairwise": sub(one, a), "another sector": sub(other, a), "another person": sub(one, b), "public": sub(public, a), "public, another": sub(public, b),
		} {
			if before, known := seen[got]; known {
				t.Errorf("%s and %s share a sub", name, before)
			}
			seen[got] = name
			if strings.Contains(got, mario) || strings.Contains(got, string(a)) {
				t.Errorf("%s: the sub tells who it is", name)
			}
		}
	})
}

// A sector cannot be named so that it looks like a person's, or the public one.
func TestSubjectSectorsDoNotMix(t *testing.T) {
	t.Parallel()
	keys := newSecrets(t).PRF("subject")
	compute := func(c clients.Client, id citizens.ID) string { return (&Provider{subjectKey: keys}).subject(c, id) }
	public := clients.Client{Metadata: clients.Metadata{SubjectType: clients.SubjectPublic}}
	if compute(public, "x") == compute(clients.Client{Sector: "public"}, "x") {
		t.Error("a sector called public is the public one")
	}
}
