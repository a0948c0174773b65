package templates

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// What pages and messages say of a code's life and tries is what is in force.
func TestFiguresAreThePolicys(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Figures: Figures{
		RecoveryCode: 30 * time.Minute, RevocationCode: 48 * time.Hour, ProcedureTries: 4,
		RequestCode: time.Hour, RequestTries: 7, ContactTries: 8, RequestsPerDay: 2,
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		page Page
		want []string
	}{
		{RecoverConfirm{}, []string{"Vale 30 minuti.", "Dopo 4 codici sbagliati"}},
		{RecoverConfirm{Problem: CodeWrong}, []string{"scritto male 4 volte"}},
		{RevokeConfirm{}, []string{"Vale 2 giorni.", "Dopo 4 codici sbagliati"}},
		{RequestConfirm{Problem: CodeWrong}, []string{"Vale 1 ora.", "scritto male 7 volte"}},
	} {
		var out strings.Builder
		if err := s.Render(&out, Frame{Language: "it", Now: time.Now()}, c.page); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s does not say %q", c.page.Name(), want)
			}
		}
	}
	_, body, err := s.Mail("it", "recovery-code", "email", map[string]string{"Name": "Mario Rossi", "Code": "12345678", "Link": "https://login.ente.example"})
	if err != nil || !strings.Contains(body, "vale 30 minuti") {
		t.Errorf("the mail says %q, %v", body, err)
	}
	if got, err := s.words["it"].say("neutral.request.note.text", "Again", ""); err != nil || !strings.Contains(got, "al massimo 2 richieste") {
		t.Errorf("how many requests in a day: %q, %v", got, err)
	}
	if got, err := s.words["it"].say("field.code.wrong"); err != nil || !strings.Contains(got, "scritto male 8 volte") {
		t.Errorf("a contact's code: %q, %v", got, err)
	}
}

// No figure of the policy stands in the words themselves.
func TestNoFixedFigures(t *testing.T) {
	t.Parallel()
	fixed := regexp.MustCompile(`24 (ore|hours)|\b5 (codici|volte|wrong|times|mistakes)`)
	for _, language := range []string{"it", "en"} {
		raw, err := catalogues.ReadFile("words/" + language + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if found := fixed.FindAllString(string(raw), -1); len(found) > 0 {
			t.Errorf("%s: %q", language, found)
		}
	}
}
