package selfservice

import (
	"testing"

	"ente.example/idp/templates"
)

// The table of pin-rules §2.7, row by row, and the questions on the way.
func TestWhichProcedure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		used, contacts, card string
		ask, road            string
	}{
		{"", "", "", templates.LostUsed, ""},
		{"yes", "", "", templates.LostContacts, ""},
		{"yes", "no", "", templates.LostCard, ""},
		{"yes", "unsure", "", templates.LostCard, ""},
		{"no", "", "", templates.LostCard, ""},

		{"yes", "yes", "", "", templates.LostRecover},
		{"yes", "yes", "yes", "", templates.LostRecover},
		{"yes", "yes", "no", "", templates.LostRecover},
		{"yes", "no", "yes", "", templates.LostRevoke},
		{"yes", "unsure", "yes", "", templates.LostRevoke},
		{"yes", "no", "no", "", templates.LostCall},
		{"yes", "unsure", "no", "", templates.LostCall},
		{"no", "", "yes", "", templates.LostRevoke},
		{"no", "yes", "yes", "", templates.LostRevoke}, // R43: a first PIN is not recovered
		{"no", "", "no", "", templates.LostCall},
		{"expired", "", "", "", templates.LostSignIn},
		{"waiting", "", "", "", templates.LostWait},

		// what makes no sense has not been said
		{"perhaps", "yes", "yes", templates.LostUsed, ""},
		{"yes", "expired", "yes", templates.LostContacts, ""},
	} {
		said := map[string]string{templates.LostUsed: c.used, templates.LostContacts: c.contacts, templates.LostCard: c.card}
		given := answersIn(func(name string) string { return said[name] })
		if ask, road := given.next(); ask != c.ask || road != c.road {
			t.Errorf("used %q, contacts %q, card %q: asks %q, road %q, want %q, %q", c.used, c.contacts, c.card, ask, road, c.ask, c.road)
		}
	}
}

// Whatever is answered, three answers lead to a road.
func TestGuideEnds(t *testing.T) {
	t.Parallel()
	var walk func(given answers)
	walk = func(given answers) {
		ask, road := given.next()
		if (ask == "") == (road == "") {
			t.Errorf("%v: asks %q and names the road %q", given, ask, road)
		}
		if ask == "" {
			return
		}
		if len(given) == 3 {
			t.Fatalf("a fourth question after %v", given)
		}
		for _, q := range questions() {
			if q.name != ask {
				continue
			}
			for _, choice := range q.answers {
				more := answers{ask: choice.Value}
				for name, said := range given {
					more[name] = said
				}
				walk(more)
			}
		}
	}
	walk(answers{})
}
