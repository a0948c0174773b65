package provider

import (
	"testing"
	"time"

	"ente.example/idp/login"
)

const level1 = "https://www.spid.gov.it/SpidL1"

// TestNext is the whole flow: every row is what a citizen and a service may
// have brought about so far, and what comes next.
func TestNext(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	session := func(age time.Duration) *login.Session {
		return &login.Session{ID: "s", ACR: level1, AuthTime: now.Add(-age), Now: now}
	}
	const issue, signIn, choose, ask = string(stepIssue), string(stepSignIn), string(stepChooseAccount), string(stepConsent)
	yes, no := &login.Answer{Allowed: true}, &login.Answer{}
	age := func(n int) *int { return &n }
	p := func(prompts ...string) []string { return prompts }

	for _, row := range []struct {
		name string
		a    asked
		s    standing
		want string // a step, or the error code
	}{
		{"nobody is signed in", asked{}, standing{}, signIn},
		{"signed in, nothing to ask", asked{}, standing{session: session(0)}, issue},
		{"signed in, consent needed", asked{}, standing{session: session(0), needed: true}, ask},
		{"consent given", asked{}, standing{session: session(0), needed: true, answer: yes}, issue},
		{"consent denied", asked{}, standing{session: session(0), needed: true, answer: no}, codeAccessDenied},
		{"denied although it was not needed", asked{}, standing{session: session(0), answer: no}, codeAccessDenied},

		{"none, nobody", asked{prompts: p("none")}, standing{}, codeLoginRequired},
		{"none, a change of PIN is open", asked{prompts: p("none")}, standing{changing: true}, codeInteractionRequired},
		{"none, signed in though a change is open", asked{prompts: p("none")}, standing{session: session(0), changing: true}, issue},
		{"none, signed in", asked{prompts: p("none")}, standing{session: session(0)}, issue},
		{"none, consent needed", asked{prompts: p("none")}, standing{session: session(0), needed: true}, codeConsentRequired},
		{"none, too old", asked{prompts: p("none"), maxAge: age(60)}, standing{session: session(time.Hour)}, codeLoginRequired},
		{"none, max_age 0", asked{prompts: p("none"), maxAge: age(0)}, standing{session: session(0)}, codeLoginRequired},
		{"none, young enough", asked{prompts: p("none"), maxAge: age(60)}, standing{session: session(time.Minute)}, issue},
		{"none, somebody else", asked{prompts: p("none"), subjects: p("a")}, standing{session: session(0), subject: "b"}, codeLoginRequired},
		{"none, the right one", asked{prompts: p("none"), subjects: p("a", "b")}, standing{session: session(0), subject: "b"}, issue},

		{"login with a session from before", asked{prompts: p("login")}, standing{session: session(0)}, signIn},
		{"login, done", asked{prompts: p("login")}, standing{session: session(0), signedIn: true}, issue},
		{"login, done, consent needed", asked{prompts: p("login")}, standing{session: session(0), signedIn: true, needed: true}, ask},
		{"login and select_account: signing in is choosing", asked{prompts: p("login", "select_account")}, standing{session: session(0), signedIn: true}, issue},

		{"max_age 0 with a session from before", asked{maxAge: age(0)}, standing{session: session(0)}, signIn},
		{"max_age 0, done", asked{maxAge: age(0)}, standing{session: session(0), signedIn: true}, issue},
		{"max_age, at the second", asked{maxAge: age(60)}, standing{session: session(60 * time.Second)}, issue},
		{"max_age, a second more", asked{maxAge: age(60)}, standing{session: session(61 * time.Second)}, signIn},
		{"max_age, slow at the consent page", asked{maxAge: age(60)}, standing{session: session(5 * time.Minute), signedIn: true, needed: true}, ask},

		{"select_account, nobody", asked{prompts: p("select_account")}, standing{}, signIn},
		{"select_account, somebody", asked{prompts: p("select_account")}, standing{session: session(0)}, choose},
		{"select_account, chosen", asked{prompts: p("select_account")}, standing{session: session(0), chosen: true}, issue},
		{"select_account before the wrong person is refused", asked{prompts: p("select_account"), subjects: p("a")}, standing{session: session(0), subject: "b"}, choose},
		{"select_account, somebody else wants in", asked{prompts: p("select_account")}, standing{session: session(0), other: true}, signIn},
		{"select_account, somebody else is in", asked{prompts: p("select_account")}, standing{session: session(0), other: true, signedIn: true, chosen: true}, issue},
		{"select_account and consent", asked{prompts: p("select_account", "consent")}, standing{session: session(0), chosen: true, needed: true}, ask},

		{"hint, nobody", asked{subjects: p("a")}, standing{}, signIn},
		{"hint, somebody else", asked{subjects: p("a")}, standing{session: session(0), subject: "b"}, codeLoginRequired},
		{"hint and login, somebody else from before", asked{prompts: p("login"), subjects: p("a")}, standing{session: session(0), subject: "b"}, signIn},
		{"hint and login, somebody else signed in", asked{prompts: p("login"), subjects: p("a")}, standing{session: session(0), subject: "b", signedIn: true}, codeLoginRequired},
		{"hint, denied by somebody else", asked{subjects: p("a")}, standing{session: session(0), subject: "b", answer: no}, codeLoginRequired},

		{"a level that is not built, nobody", asked{levels: p("L9")}, standing{}, codeUnmetACR},
		{"a level that is not built, silent", asked{levels: p("L9"), prompts: p("none")}, standing{session: session(0)}, codeUnmetACR},
		{"the level there is", asked{levels: p("L9", level1)}, standing{session: session(0)}, issue},
		{"a level that is built and was not reached", asked{levels: p("L2")}, standing{session: session(0), levels: p(level1, "L2")}, codeUnmetACR},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if row.s.levels == nil {
				row.s.levels = []string{level1}
			}
			d := next(row.a, row.s)
			got := string(d.step)
			if d.step == stepRefuse {
				got = d.refusal.Code
			}
			if got != row.want {
				t.Errorf("next = %s, want %s", got, row.want)
			}
		})
	}
}
