package enrolment

import (
	"testing"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/delivery"
)

// R7, R10: who may not have a PIN gets none and no call, and is told why at the
// contacts on file, and nowhere else; of the dead nobody is told.
func TestR7WhoMayNotHaveOne(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		const zoe = "NCCZOE10E44D612J"
		abroad := []string{"residence_country=DE"}
		a.person(mario)
		a.person(zoe, append(abroad, "birth_date=2010-05-04")...)
		a.person(franco, append(abroad, "deceased_on=2026-01-01")...)
		for i, c := range []struct {
			cf, why string
			notice  delivery.MessageKey
		}{{mario, whyExcluded, NoticeExcluded}, {zoe, whyMinor, NoticeMinor}, {franco, whyExcluded, ""}} {
			in := application(c.cf)
			in.Contacts.Mobile = a.mobile("+39349000014" + string(rune('0'+i)))
			tracking := a.requested(in)
			a.stands(tracking, c.cf, ProgressProcessing)
			a.is(c.cf, credentials.None)
			if got := a.reasonOf(tracking); got != c.why {
				t.Errorf("%s: reason %q, want %q", c.cf, got, c.why)
			}
			if c.notice != "" {
				if list := a.went(c.notice, 1); len(list) == 1 && list[0].To.Reveal() != "+393401234567" {
					t.Errorf("%s went to whoever asked", c.notice)
				}
			}
		}
		a.went(NoticeExcluded, 1) // not for the dead
		a.calls(0)
		a.went(delivery.PINHalf1, 0)
	}, eligible(citizens.Current))
}
