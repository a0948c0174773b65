package contacts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/delivery"
)

func TestStatesFollowTheRule(t *testing.T) {
	t.Parallel()
	want := map[State][]State{
		Asked: {Cooling, Contested, Withdrawn, Expired}, Cooling: {Effective, Contested, Withdrawn},
		Effective: nil, Contested: nil, Withdrawn: nil, Expired: nil,
	}
	for _, s := range States() {
		if got := transitions(s); !slices.Equal(got, want[s]) {
			t.Errorf("%s becomes %v, want %v", s, got, want[s])
		}
		if s.Over() != (len(want[s]) == 0) {
			t.Errorf("%s is over: %v", s, s.Over())
		}
	}
}

func proved(kind citizens.ContactKind, s string) citizens.Contact {
	return citizens.Contact{Value: kindly(kind, s), Verified: true}
}

func TestR11R42WhoMayAskForWhat(t *testing.T) {
	t.Parallel()
	mail, mobile := proved(citizens.Email, oldMail), proved(citizens.Mobile, oldMobile)
	dead := citizens.DateOf(time.Now())
	removal := func(kind citizens.ContactKind) Change { return Change{Kind: kind, Removal: true} }
	for name, c := range map[string]struct {
		on    citizens.Contacts
		dead  bool
		other map[citizens.ContactKind]Change
		off   bool
		by    author
		kind  citizens.ContactKind
		value string
		want  error
	}{
		"a first mobile":                   {by: byCitizen, kind: citizens.Mobile, value: newMobile},
		"another mobile":                   {on: citizens.Contacts{Mobile: mobile}, by: byCitizen, kind: citizens.Mobile, value: newMobile},
		"a second contact":                 {on: citizens.Contacts{Mobile: mobile}, by: byCitizen, kind: citizens.Email, value: newMail},
		"the one that counts":              {on: citizens.Contacts{Mobile: mobile}, by: byCitizen, kind: citizens.Mobile, value: oldMobile, want: ErrSame},
		"in another case":                  {on: citizens.Contacts{Email: mail}, by: byCitizen, kind: citizens.Email, value: "MARIO.Rossi@POSTA.example", want: ErrSame},
		"one that was never proved":        {on: citizens.Contacts{Email: citizens.Contact{Value: mail.Value}}, by: byCitizen, kind: citizens.Email, value: oldMail},
		"the e-mail as PEC":                {on: citizens.Contacts{Email: mail}, by: byCitizen, kind: citizens.PEC, value: oldMail, want: ErrSameAsOther},
		"the e-mail as PEC in capitals":    {on: citizens.Contacts{Email: mail}, by: byCitizen, kind: citizens.PEC, value: "MARIO.ROSSI@posta.example", want: ErrSameAsOther},
		"what is under way as another":     {other: map[citizens.ContactKind]Change{citizens.Email: {Kind: citizens.Email, Value: value(newMail)}}, by: byCitizen, kind: citizens.PEC, value: newMail, want: ErrSameAsOther},
		"a channel that is off":            {off: true, by: byCitizen, kind: citizens.Email, value: newMail, want: ErrChannelOff},
		"for the dead":                     {dead: true, by: byCitizen, kind: citizens.Email, value: newMail, want: ErrDeceased},
		"R42: beside one on file":          {on: citizens.Contacts{Mobile: mobile}, by: byOperator, kind: citizens.Email, value: newMail},
		"R42: instead of one on file":      {on: citizens.Contacts{Mobile: mobile}, by: byOperator, kind: citizens.Mobile, value: newMobile},
		"R42: with none on file":           {by: byOperator, kind: citizens.Email, value: newMail, want: ErrNoneOnFile},
		"to remove one of two":             {on: citizens.Contacts{Mobile: mobile, Email: mail}, by: byCitizen, kind: citizens.Email},
		"to remove what is not there":      {on: citizens.Contacts{Mobile: mobile}, by: byCitizen, kind: citizens.Email, want: ErrNone},
		"to remove the last":               {on: citizens.Contacts{Mobile: mobile}, by: byCitizen, kind: citizens.Mobile, want: ErrLast},
		"to remove the last proved one":    {on: citizens.Contacts{Mobile: mobile, Email: citizens.Contact{Value: mail.Value}}, by: byCitizen, kind: citizens.Mobile, want: ErrLast},
		"to remove one not proved":         {on: citizens.Contacts{Mobile: mobile, Email: citizens.Contact{Value: mail.Value}}, by: byCitizen, kind: citizens.Email},
		"to remove the last but the going": {on: citizens.Contacts{Mobile: mobile, Email: mail}, other: map[citizens.ContactKind]Change{citizens.Email: removal(citizens.Email)}, by: byCitizen, kind: citizens.Mobile, want: ErrLast},
		"to remove the last but a cooling": {on: citizens.Contacts{Mobile: mobile}, other: map[citizens.ContactKind]Change{citizens.Email: {Kind: citizens.Email, State: Cooling, Value: value(newMail)}}, by: byCitizen, kind: citizens.Mobile, want: ErrLast},
	} {
		k := known{who: citizens.Citizen{Contacts: c.on}, other: c.other, on: !c.off}
		if c.dead {
			k.who.DeceasedOn = &dead
		}
		a := asking{author: c.by, kind: c.kind}
		if c.value != "" {
			a.value = kindly(c.kind, c.value)
		}
		if got := a.refuse(k); !errors.Is(got, c.want) || c.want == nil && got != nil {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// A mobile: code by SMS without a link, pause of 72 hours in which the old one
// counts and hears of it, then the new one.
func TestR36AContactCountsAfterProofAndPause(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile, "email", oldMail)
		c := f.asks(id, value(newMobile))
		f.is(c.ID, Asked, "")
		if got := f.told(ContactCode); !slices.Equal(got, []string{newMobile}) {
			t.Errorf("the code went to %v", got)
		}
		if f.find(ContactCode, linkLine) != "" {
			t.Error("an SMS has a link")
		}
		f.proves(id, citizens.Mobile)
		f.is(c.ID, Cooling, "")
		if got := f.told(NoticeProved); !slices.Equal(got, []string{oldMobile, newMobile, oldMail}) {
			t.Errorf("the proof was told to %v", got)
		}
		f.shift(72*time.Hour - time.Minute)
		f.sweep()
		f.is(c.ID, Cooling, "")
		f.counts(id, citizens.Mobile, oldMobile)
		f.shift(time.Minute)
		f.sweep()
		f.is(c.ID, Effective, "")
		f.counts(id, citizens.Mobile, newMobile)
		f.counts(id, citizens.Email, oldMail)
		if got := f.told(NoticeEffective); !slices.Equal(got, []string{oldMobile, newMobile, oldMail}) {
			t.Errorf("the change was told to %v", got)
		}
		f.recorded(3, audit.ContactAsked, audit.ContactProved, audit.ContactEffective)
		if f.number(`contact_changes WHERE data IS NOT NULL OR code_key IS NOT NULL`) > 0 {
			t.Error("a change that is over keeps its contacts or its code")
		}
	})
}

// While a contact cools, a recovery goes by the old one and not by the new one.
func TestR36AContactThatCoolsDoesNotRecover(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile, "email", oldMail)
		f.cools(id, value(newMobile))
		try := func(mobile string) int {
			f.forget()
			f.must(f.pins.StartRecovery(t.Context(), audit.Actor{Kind: audit.Anonymous}, credentials.Recovery{
				FiscalCode: code(mario), Contacts: []citizens.ContactValue{value(mobile), value(oldMail)},
			}))
			f.must(f.pins.WorkProcedures(t.Context()))
			f.deliver()
			return len(f.told(credentials.RecoveryCode))
		}
		if n := try(newMobile); n != 0 {
			t.Error("a contact that cools has recovered a PIN")
		}
		if n := try(oldMobile); n != 1 {
			t.Error("the old contact recovers nothing while the new one cools")
		}
		f.shift(72 * time.Hour)
		f.sweep()
		if n := try(newMobile); n != 1 {
			t.Error("the contact that counts recovers nothing")
		}
	})
}

// An e-mail: the link alone or the code alone.
func TestProofByLink(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile)
		c := f.asks(id, value(newMail))
		link := f.link()
		before := f.number(`audit_events`)
		got, err := f.Linked(t.Context(), link)
		f.must(err)
		if got.ID != c.ID || got.Value.Reveal() != newMail || f.number(`audit_events`) != before {
			t.Errorf("the link leads to %+v", got)
		}
		f.is(c.ID, Asked, "")
		f.must(f.ProveByLink(t.Context(), audit.Actor{Kind: audit.Anonymous}, link))
		f.is(c.ID, Cooling, "")
		f.must(f.ProveByLink(t.Context(), audit.Actor{Kind: audit.Anonymous}, link)) // pressed twice
		f.must(f.Withdraw(t.Context(), citizen(id), id, citizens.Email))
		f.wants("a link of what is withdrawn", f.ProveByLink(t.Context(), citizen(id), link), ErrLinkDead)
		_, err = f.Linked(t.Context(), credentials.NewLink("nothing"))
		f.wants("a made-up link", err, ErrLinkDead)
		_, err = f.Linked(t.Context(), credentials.Code{})
		f.wants("no link", err, ErrLinkDead)
	})
}

// certify is what the PEC provider tells about the last code.
func (f *fixture) certify(c Change, result delivery.Result, external bool) {
	f.t.Helper()
	o := delivery.Outcome{
		Receipt: delivery.Receipt{Key: ContactCode, Channel: delivery.PEC, Citizen: c.Citizen, Ref: string(c.ID)},
		Result:  result, Uncertified: external,
	}
	f.must(f.db.InTx(f.t.Context(), func(ctx context.Context) error { return f.Outcome(ctx, o) }))
	f.deliver()
}

// A PEC address: the code and the provider's receipt, in either order.
func TestPECNeedsCodeAndReceipt(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile)
		c := f.asks(id, value(newPEC))
		if f.find(ContactCode, linkLine) != "" {
			t.Error("a PEC has a link")
		}
		f.proves(id, citizens.PEC)
		f.is(c.ID, Asked, "")
		if e := f.entry(id, citizens.PEC); e.Change == nil || !e.Change.CodeRight {
			t.Errorf("the list says %+v", e)
		}
		f.certify(c, delivery.PECAccepted, false)
		f.is(c.ID, Asked, "")
		f.certify(c, delivery.PECDelivered, false)
		f.is(c.ID, Cooling, "")

		c = f.asks(id, value("altra@pec.example"))
		f.certify(c, delivery.PECDelivered, false)
		f.is(c.ID, Asked, "")
		f.proves(id, citizens.PEC)
		f.is(c.ID, Cooling, "")
		f.shift(72 * time.Hour)
		f.sweep()
		f.counts(id, citizens.PEC, "altra@pec.example")
	}, certified)
}

func TestPECThatIsNone(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile)
		c := f.asks(id, value(newPEC))
		f.proves(id, citizens.PEC)
		f.certify(c, delivery.PECAccepted, true)
		f.is(c.ID, Expired, NotPEC)
		if got := f.told(NoticeNotPEC); !slices.Equal(got, []string{oldMobile}) {
			t.Errorf("told to %v", got)
		}
		f.certify(c, delivery.PECDelivered, false)
		f.is(c.ID, Expired, NotPEC)
		if e := f.entry(id, citizens.PEC); e.Last == nil || e.Last.Reason != NotPEC {
			t.Errorf("the list says %+v", e)
		}
		c = f.asks(id, value(newPEC))
		f.certify(c, delivery.PECFailed, false)
		f.is(c.ID, Expired, Undelivered)
	}, certified)
}

// Where nobody reads receipts, the code alone proves a PEC address.
func TestPECWithoutReceipts(t *testing.T) {
	each(t, func(_ *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile)
		f.cools(id, value(newPEC))
	})
}

func TestACodeThatDoesNotLeave(t *testing.T) {
	each(t, func(_ *testing.T, f *fixture) {
		id := f.person(mario, "email", oldMail)
		f.rejects[delivery.SMS] = true
		c := f.asks(id, value(newMobile))
		f.is(c.ID, Expired, Undelivered)
	})
}

func TestWrongCodesEndAChange(t *testing.T) {
	each(t, func(_ *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile)
		c := f.asks(id, value(newMail))
		right := f.code()
		try := func(s string) error {
			return f.Prove(f.t.Context(), citizen(id), id, citizens.Email, credentials.ParseCode(s))
		}
		for range 4 {
			f.wants("a wrong code", try("00000000"), ErrCodeWrong)
			f.is(c.ID, Asked, "")
		}
		f.wants("the last wrong code", try("00000000"), ErrCodeWrong)
		f.is(c.ID, Expired, TooManyTries)
		f.wants("the right code, too late", f.Prove(f.t.Context(), citizen(id), id, citizens.Email, right), ErrCodeWrong)
		f.wants("where nothing is under way", f.Prove(f.t.Context(), citizen(id), id, citizens.PEC, right), ErrCodeWrong)
		f.recorded(5, audit.ContactCodeWrong)
	})
}

func TestACodeRunsOut(t *testing.T) {
	each(t, func(_ *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile)
		c := f.asks(id, value(newMobile))
		right := f.code()
		f.shift(30 * time.Minute)
		f.wants("a code after half an hour", f.Prove(f.t.Context(), citizen(id), id, citizens.Mobile, right), ErrCodeWrong)
		f.sweep()
		f.is(c.ID, Expired, NotProved)

		c = f.asks(id, value(newMail))
		link := f.link()
		f.shift(day - time.Minute)
		f.sweep()
		f.is(c.ID, Asked, "")
		f.shift(time.Minute)
		f.wants("a link after a day", f.ProveByLink(f.t.Context(), citizen(id), link), ErrLinkDead)
		f.sweep()
		f.is(c.ID, Expired, NotProved)
	})
}

// A new change of a kind takes the place of the one under way: the old code is
// dead, and who had heard of it hears of its end.
func TestANewChangeSupersedes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile)
		a := f.asks(id, value(newMail))
		dead := f.code()
		b := f.asks(id, value("altra@posta.example"))
		f.is(a.ID, Withdrawn, Superseded)
		f.wants("a dead code", f.Prove(t.Context(), citizen(id), id, citizens.Email, dead), ErrCodeWrong)
		if got := f.told(NoticeWithdrawn); len(got) > 0 {
			t.Errorf("told %v about a change that nobody had heard of", got)
		}
		f.proves(id, citizens.Email)
		f.is(b.ID, Cooling, "")
		c := f.asks(id, value(newMail))
		f.is(b.ID, Withdrawn, Superseded)
		f.is(c.ID, Asked, "")
		if got := f.told(NoticeWithdrawn); !slices.Equal(got, []string{oldMobile, "altra@posta.example"}) {
			t.Errorf("told %v", got)
		}
	})
}

func TestLimits(t *testing.T) {
	each(t, func(_ *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile)
		other := f.person(anna, "mobile", "+393311111111")
		for range 3 {
			f.asks(id, value(newMail))
		}
		_, err := f.Ask(f.t.Context(), citizen(id), f.verified(mario, id), value(newMail), "it")
		f.wants("a fourth code to one address", err, ErrTooMany)
		_, err = f.Ask(f.t.Context(), citizen(other), f.verified(anna, other), kindly(citizens.PEC, newMail), "it")
		f.wants("by somebody else, as PEC", err, ErrTooMany)
		for _, v := range []string{newMobile, newPEC, "terza@posta.example"} {
			f.asks(id, value(v))
		}
		_, err = f.Ask(f.t.Context(), citizen(id), f.verified(mario, id), value("quarta@posta.example"), "it")
		f.wants("a seventh change", err, ErrTooMany)
		f.shift(day)
		f.asks(id, value(newMail))
	})
}

func TestRemoval(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile, "email", oldMail)
		c, err := f.Remove(t.Context(), citizen(id), f.verified(mario, id), citizens.Email)
		f.must(err)
		f.deliver()
		f.is(c.ID, Cooling, "")
		if got := f.told(NoticeRemoval); !slices.Equal(got, []string{oldMobile, oldMail}) {
			t.Errorf("told %v", got)
		}
		_, err = f.Remove(t.Context(), citizen(id), f.verified(mario, id), citizens.Mobile)
		f.wants("both at once", err, ErrLast)
		f.wants("a code for a removal", f.Prove(t.Context(), citizen(id), id, citizens.Email, credentials.ParseCode("00000000")), ErrCodeWrong)
		f.shift(72*time.Hour - time.Minute)
		f.sweep()
		f.counts(id, citizens.Email, oldMail)
		f.shift(time.Minute)
		f.sweep()
		f.counts(id, citizens.Email, "")
		f.counts(id, citizens.Mobile, oldMobile)
		if got := f.told(NoticeRemoved); !slices.Equal(got, []string{oldMobile, oldMail}) {
			t.Errorf("told %v", got)
		}
		_, err = f.Remove(t.Context(), citizen(id), f.verified(mario, id), citizens.Mobile)
		f.wants("the last one", err, ErrLast)
	})
}

func TestWithdraw(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile)
		f.wants("of nothing", f.Withdraw(t.Context(), citizen(id), id, citizens.Email), ErrNothing)
		c := f.cools(id, value(newMail))
		f.must(f.Withdraw(t.Context(), citizen(id), id, citizens.Email))
		f.deliver()
		f.is(c.ID, Withdrawn, ByCitizen)
		if got := f.told(NoticeWithdrawn); !slices.Equal(got, []string{oldMobile, newMail}) {
			t.Errorf("told %v", got)
		}
		f.shift(4 * day)
		f.sweep()
		f.counts(id, citizens.Email, "")
	})
}

// R42: the contact centre sets a contact; it counts after a week.
func TestR42AnOperatorProposesAContact(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile)
		c, err := f.Propose(t.Context(), operator, id, value(newMail))
		f.must(err)
		f.deliver()
		f.must(f.ProveByLink(t.Context(), audit.Actor{Kind: audit.Anonymous}, f.link()))
		f.deliver()
		if got := f.told(NoticeProved); !slices.Equal(got, []string{oldMobile, newMail}) {
			t.Errorf("told %v", got)
		}
		f.shift(7*day - time.Minute)
		f.sweep()
		f.is(c.ID, Cooling, "")
		f.shift(time.Minute)
		f.sweep()
		f.counts(id, citizens.Email, newMail)

		nobody := f.imports(anna, nil)
		_, err = f.Propose(t.Context(), operator, nobody, value(newMail))
		f.wants("for somebody without a contact", err, ErrNoneOnFile)
		if _, err = f.Propose(t.Context(), citizen(id), id, value(newMobile)); err == nil {
			t.Error("a citizen has proposed a contact as an operator")
		}
	})
}

// "That was not me" contests what is under way, also what an operator asked for.
func TestContest(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile)
		a := f.cools(id, value(newMail))
		b, err := f.Propose(t.Context(), operator, id, value(newPEC))
		f.must(err)
		f.deliver()
		f.must(f.pins.ReportByCode(t.Context(), audit.Actor{Kind: audit.Anonymous}, code(mario), credentials.ParseCode(f.find(NoticeProved, halfLine))))
		f.deliver()
		f.is(a.ID, Contested, "")
		f.is(b.ID, Contested, "")
		if got := f.told(NoticeContested); !slices.Equal(got, []string{oldMobile, newMail}) {
			t.Errorf("told %v", got)
		}
		f.shift(8 * day)
		f.sweep()
		f.counts(id, citizens.Email, "")
		f.counts(id, citizens.Mobile, oldMobile)
	})
}

// A PIN that ends takes with it what was asked for with it; what an operator
// asked for stays.
func TestAPINThatEndsWithdraws(t *testing.T) {
	for name, end := range map[string]func(f *fixture) error{
		"revoked":   func(f *fixture) error { return f.pins.Revoke(f.t.Context(), operator, code(mario), "a test") },
		"suspended": func(f *fixture) error { return f.pins.Suspend(f.t.Context(), operator, code(mario), "a test") },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, f *fixture) {
				id := f.person(mario, "mobile", oldMobile)
				a := f.cools(id, value(newMail))
				v := f.verified(mario, id)
				b, err := f.Propose(t.Context(), operator, id, value(newPEC))
				f.must(err)
				f.must(end(f))
				f.is(a.ID, Withdrawn, PINEnded)
				f.is(b.ID, Asked, "")
				_, err = f.Ask(t.Context(), citizen(id), v, value(newMobile), "it")
				f.wants("with a PIN that has ended", err, credentials.ErrRefused)
			})
		})
	}
}

func TestDeathWithdrawsEverything(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile)
		a, err := f.Propose(t.Context(), operator, id, value(newPEC))
		f.must(err)
		f.imports(mario, map[string]string{"deceased_on": "2026-01-01"})
		f.is(a.ID, Withdrawn, Deceased)
		_, err = f.Propose(t.Context(), operator, id, value(newMail))
		f.wants("for the dead", err, ErrDeceased)
	})
}

// What an import or a first access says is newer than what was asked for (R52).
func TestContactsThatChangeMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		ask  citizens.ContactValue
		then func(f *fixture, id citizens.ID)
		why  Reason
	}{
		"the one to be replaced": {value(newMobile), func(f *fixture, _ citizens.ID) {
			f.imports(mario, map[string]string{"mobile": "+393312222222"})
		}, Replaced},
		"one where there was none": {value(newMail), func(f *fixture, _ citizens.ID) {
			f.imports(mario, map[string]string{"email": "altra@posta.example"})
		}, Replaced},
		"a new request": {value(newMobile), func(f *fixture, id citizens.ID) {
			fresh := citizens.Contacts{Email: proved(citizens.Email, "altra@posta.example")}
			f.must(f.db.InTx(f.t.Context(), func(ctx context.Context) error { return f.citizens.ReplaceContacts(ctx, id, fresh) }))
		}, Replaced},
		"the same as another kind": {value(newMail), func(f *fixture, _ citizens.ID) {
			f.imports(mario, map[string]string{"pec": newMail})
		}, SameAsOther},
		"another one": {value(newMobile), func(f *fixture, _ citizens.ID) {
			f.imports(mario, map[string]string{"pec": newPEC})
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, f *fixture) {
				id := f.person(mario, "mobile", oldMobile)
				change := f.cools(id, c.ask)
				c.then(f, id)
				before, err := f.citizens.ByID(t.Context(), id)
				f.must(err)
				f.shift(72 * time.Hour)
				f.sweep()
				if c.why == "" {
					f.is(change.ID, Effective, "")
					return
				}
				f.is(change.ID, Withdrawn, c.why)
				after, err := f.citizens.ByID(t.Context(), id)
				f.must(err)
				if before.Contacts != after.Contacts {
					t.Error("contacts were overwritten")
				}
			})
		})
	}
}

// A removal that has cooled, while the other contact went another way.
func TestARemovalLeavesOne(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile, "email", oldMail)
		c, err := f.Remove(t.Context(), citizen(id), f.verified(mario, id), citizens.Email)
		f.must(err)
		fresh := citizens.Contacts{Email: proved(citizens.Email, oldMail)}
		f.must(f.db.InTx(t.Context(), func(ctx context.Context) error { return f.citizens.ReplaceContacts(ctx, id, fresh) }))
		f.shift(72 * time.Hour)
		f.sweep()
		f.is(c.ID, Withdrawn, LastContact)
		f.counts(id, citizens.Email, oldMail)
	})
}

func TestR11AnEqualAddressIsOneContact(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile, "email", oldMail)
		_, err := f.Ask(t.Context(), citizen(id), f.verified(mario, id), kindly(citizens.PEC, "Mario.ROSSI@posta.example"), "it")
		f.wants("the e-mail as PEC", err, ErrSameAsOther)
		_, err = f.Ask(t.Context(), citizen(id), f.verified(mario, id), value(oldMail), "it")
		f.wants("the e-mail again", err, ErrSame)
		f.recorded(0, audit.ContactAsked)
	})
}

func TestOldRowsLeave(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile)
		f.cools(id, value(newMail))
		f.must(f.Withdraw(t.Context(), citizen(id), id, citizens.Email))
		f.shift(90*day - time.Minute)
		f.sweep()
		if f.number(`contact_changes`) != 1 {
			t.Error("a row left too early")
		}
		f.shift(time.Minute)
		f.sweep()
		if f.number(`contact_changes`) != 0 {
			t.Error("a row stays")
		}
	})
}

// Nobody hides a change behind others: whoever has the PIN may let three end by
// himself, and what begins to count after the fourth is told all the same
// (pin-rules §5.4, §5.9).
func TestEveryPauseIsTold(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.person(mario, "mobile", oldMobile, "email", oldMail)
		for i := range 4 {
			f.forget()
			v := value(fmt.Sprintf("+3934900000%02d", i))
			f.cools(id, v)
			if got, want := f.told(NoticeProved), []string{oldMobile, v.Reveal(), oldMail}; !slices.Equal(got, want) {
				t.Fatalf("of change %d were told %v, want %v", i+1, got, want)
			}
			if i < 3 {
				f.must(f.Withdraw(t.Context(), citizen(id), id, citizens.Mobile))
				f.deliver()
			}
		}
	})
}
