package provider

import (
	"slices"

	"ente.example/idp/login"
)

// step is what has to happen next on the way to an answer.
type step string

// The steps. Step-up joins them when a second level is built.
const (
	stepSignIn        step = "sign in"
	stepChooseAccount step = "choose account"
	stepConsent       step = "consent"
	stepIssue         step = "issue"
	stepRefuse        step = "refuse"
)

// decision is a step, and with stepRefuse what the service is told.
type decision struct {
	step    step
	refusal *protocolError
}

// asked is what the service wants of the sign-in.
type asked struct {
	prompts  []string
	maxAge   *int
	levels   []string // acr values of which one is essential; none: any will do
	subjects []string // of which one must be who signs in; none: anybody may
}

func (a asked) prompt(p string) bool { return slices.Contains(a.prompts, p) }

// standing is how far the citizen has come.
type standing struct {
	session  *login.Session
	subject  string   // who that is to this service
	levels   []string // that are built, lowest first
	signedIn bool     // within this interaction
	other    bool     // the citizen said that somebody else signs in
	chosen   bool     // who goes on was said within this interaction
	changing bool     // a change of PIN is open in this browser
	needed   bool     // the consent page is
	answer   *login.Answer
}

// next decides what happens next. It is the only place that knows the order of
// the steps: each of them comes back here. It looks at nothing but its
// arguments.
func next(a asked, s standing) decision {
	silent := a.prompt(promptNone)
	switch {
	// What nobody's sign-in can change is said before anybody signs in.
	case len(a.levels) > 0 && !overlap(a.levels, s.levels):
		return refuse(codeUnmetACR, "no level that was asked for is offered")

	// Somebody has to be there, and as freshly as the service wants. With
	// prompt=none we may not even ask.
	case s.session == nil && silent && s.changing:
		return refuse(codeInteractionRequired, "the citizen is changing the PIN")
	case s.session == nil && silent:
		return refuse(codeLoginRequired, "nobody is signed in")
	case s.session == nil, s.other && !s.signedIn:
		return decision{step: stepSignIn}
	case !s.signedIn && a.prompt(promptLogin):
		return decision{step: stepSignIn}
	case !s.signedIn && tooOld(a.maxAge, s):
		if silent {
			return refuse(codeLoginRequired, "the sign-in is older than max_age")
		}
		return decision{step: stepSignIn}

	// It has to be the right person. The choice comes first: it is the way out
	// for somebody who sits at another's browser.
	case a.prompt(promptAccount) && !s.chosen && !s.signedIn:
		return decision{step: stepChooseAccount}
	case len(a.subjects) > 0 && !slices.Contains(a.subjects, s.subject):
		return refuse(codeLoginRequired, "somebody else is signed in")

	// And on the level that the service cannot do without.
	case len(a.levels) > 0 && !slices.Contains(a.levels, s.session.ACR):
		return refuse(codeUnmetACR, "the level that was asked for was not reached")
	}
	return nextConsent(s, silent)
}

// nextConsent is what is left once it is clear who the citizen is. An answer
// counts more than what was kept: who has just said no means it.
func nextConsent(s standing, silent bool) decision {
	switch {
	case s.answer != nil && !s.answer.Allowed:
		return refuse(codeAccessDenied, "the citizen did not allow it")
	case s.answer != nil:
		return decision{step: stepIssue}
	case s.needed && silent:
		return refuse(codeConsentRequired, "the citizen has to be asked")
	case s.needed:
		return decision{step: stepConsent}
	}
	return decision{step: stepIssue}
}

// tooOld compares in whole seconds, as auth_time says it to the service: what
// we let pass must pass there too.
func tooOld(maxAge *int, s standing) bool {
	if maxAge == nil {
		return false
	}
	if *maxAge == 0 {
		return true
	}
	age := s.session.Now.Unix() - s.session.AuthTime.Unix()
	return age > int64(*maxAge)
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

func refuse(code, description string) decision {
	return decision{step: stepRefuse, refusal: badRequest(code, description)}
}
