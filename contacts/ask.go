package contacts

import (
	"context"
	"errors"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/delivery"
)

// confirmPath is the page behind the link in a mail.
const confirmPath = "/account/contacts/confirm"

// Ask has somebody's contact of a kind set or replaced, with the PIN that he has
// just given, and sends a code to prove it by. The contact counts after its
// proof and the policy's pause; until then everything stays as it is. A change
// of the same kind that is under way is withdrawn: its code is dead.
//
// ErrSame, ErrSameAsOther, ErrChannelOff, ErrTooMany and ErrDeceased refuse it;
// credentials.ErrRefused says that the PIN has ended meanwhile.
func (s *Service) Ask(ctx context.Context, by audit.Actor, pin credentials.Verified, value citizens.ContactValue, language string) (Change, error) {
	return s.ask(ctx, asking{
		by: by, author: byCitizen, who: pin.Citizen, kind: value.Kind(), value: value, language: language,
		hold: func(ctx context.Context) error { return s.pins.Hold(ctx, pin) },
	})
}

// Propose is the contact centre's Ask, for somebody who has been identified by
// telephone (R42). There must be a contact on file already: ErrNoneOnFile. The
// pause is longer, and the old contacts hear of it.
func (s *Service) Propose(ctx context.Context, operator audit.Actor, who citizens.ID, value citizens.ContactValue) (Change, error) {
	if operator.Kind != audit.Operator || operator.ID == "" {
		return Change{}, errors.New("contacts: only an operator with a name proposes a contact")
	}
	return s.ask(ctx, asking{by: operator, author: byOperator, who: who, kind: value.Kind(), value: value, hold: nothing})
}

// Remove has a kind of contact taken off, after the same pause. The last proved
// contact stays: ErrLast. ErrNone says that there is none of that kind.
func (s *Service) Remove(ctx context.Context, by audit.Actor, pin credentials.Verified, kind citizens.ContactKind) (Change, error) {
	return s.ask(ctx, asking{
		by: by, author: byCitizen, who: pin.Citizen, kind: kind,
		hold: func(ctx context.Context) error { return s.pins.Hold(ctx, pin) },
	})
}

func nothing(context.Context) error { return nil }

// asking is somebody's wish; without a value it is a removal.
type asking struct {
	by       audit.Actor
	author   author
	who      citizens.ID
	kind     citizens.ContactKind
	value    citizens.ContactValue
	language string
	hold     func(ctx context.Context) error
}

func (a asking) removal() bool { return a.value.IsZero() }

// known is what a wish is judged by: the person, and what is under way of the
// other kinds.
type known struct {
	who   citizens.Citizen
	other map[citizens.ContactKind]Change
	on    bool // the channel
}

// refuse is who may ask for what (R11, R42, pin-rules §2.5).
func (a asking) refuse(k known) error {
	on := k.who.Contacts
	switch {
	case k.who.DeceasedOn != nil:
		return ErrDeceased
	case a.removal() && on.Of(a.kind).IsZero():
		return ErrNone
	case a.removal() && !keepsOne(on, append(leaving(k.other), a.kind)):
		return ErrLast
	case a.removal():
		return nil
	case a.author == byOperator && on.IsZero():
		return ErrNoneOnFile
	case !k.on:
		return ErrChannelOff
	case on.Of(a.kind).Verified && on.Of(a.kind).Value.Same(a.value):
		return ErrSame
	case twin(on, a.kind, a.value):
		return ErrSameAsOther
	}
	for _, c := range k.other {
		if c.Value.Same(a.value) {
			return ErrSameAsOther
		}
	}
	return nil
}

// twin reports whether a value counts already as a contact of another kind:
// together they would be one contact (R11).
func twin(on citizens.Contacts, kind citizens.ContactKind, v citizens.ContactValue) bool {
	for _, other := range citizens.ContactKinds() {
		if other != kind && on.Of(other).Value.Same(v) {
			return true
		}
	}
	return false
}

// leaving are the kinds that are on their way out.
func leaving(list map[citizens.ContactKind]Change) []citizens.ContactKind {
	var kinds []citizens.ContactKind
	for kind, c := range list {
		if c.Removal {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// keepsOne reports whether a proved contact is left without these kinds. One
// that nobody has proved may reach nobody, and does not count; nor does one that
// is only cooling.
func keepsOne(on citizens.Contacts, without []citizens.ContactKind) bool {
	for _, kind := range without {
		switch kind {
		case citizens.Mobile:
			on.Mobile = citizens.Contact{}
		case citizens.Email:
			on.Email = citizens.Contact{}
		case citizens.PEC:
			on.PEC = citizens.Contact{}
		}
	}
	return on.Mobile.Verified || on.Email.Verified || on.PEC.Verified
}

func (s *Service) ask(ctx context.Context, a asking) (c Change, err error) {
	var refusal error
	err = s.db.InTx(ctx, func(ctx context.Context) error {
		if err := s.citizens.Hold(ctx, a.who); err != nil {
			return err
		}
		if err := a.hold(ctx); err != nil {
			return err
		}
		c, refusal, err = s.judge(ctx, a)
		return err
	})
	if err != nil {
		return Change{}, wrap("ask for a change of contact", err)
	}
	return c, refusal
}

func (s *Service) judge(ctx context.Context, a asking) (_ Change, refusal, err error) {
	k, mine, err := s.known(ctx, a)
	if err != nil {
		return Change{}, nil, err
	}
	if refusal := a.refuse(k); refusal != nil {
		return Change{}, refusal, nil
	}
	if many, err := s.tooMany(ctx, a); err != nil || many {
		return Change{}, ErrTooMany, err
	}
	if mine != nil {
		if _, err := s.drop(ctx, a.by, k.who, *mine, Withdrawn, Superseded); err != nil {
			return Change{}, nil, err
		}
	}
	c, err := s.begin(ctx, a, k.who)
	return c, nil, err
}

// known reads the person and what is under way: of the kind that is asked for
// apart.
func (s *Service) known(ctx context.Context, a asking) (k known, mine *row, err error) {
	if k.who, err = s.citizens.ByID(ctx, a.who); err != nil {
		return k, nil, err
	}
	list, err := s.store.open(ctx, a.who)
	if err != nil {
		return k, nil, err
	}
	k.on, k.other = s.outbox.Has(channelOf(a.kind)), map[citizens.ContactKind]Change{}
	for _, r := range list {
		p, err := s.open(r)
		if err != nil {
			return k, nil, err
		}
		if r.Kind == a.kind {
			mine = &r
			continue
		}
		k.other[r.Kind] = r.change(p)
	}
	return k, mine, nil
}

// tooMany is pin-rules §5.9: nobody has us send codes without end, to one number
// or to many.
func (s *Service) tooMany(ctx context.Context, a asking) (bool, error) {
	n, err := s.store.askedToday(ctx, a.who)
	if err != nil || n >= s.policy.PerDay {
		return true, err
	}
	if a.removal() {
		return false, nil
	}
	n, err = s.store.sentToday(ctx, s.targetKeys(a.value))
	return n >= s.policy.PerTarget, err
}

// begin writes a change and sends its code. A removal has nothing to prove.
func (s *Service) begin(ctx context.Context, a asking, who citizens.Citizen) (Change, error) {
	id, err := newID()
	if err != nil {
		return Change{}, err
	}
	p := pair{value: a.value, replaces: who.Contacts.Of(a.kind).Value}
	r := row{ID: id, CitizenID: a.who, Kind: a.kind, Removal: a.removal(), AskedBy: a.author, State: Asked}
	if r.Data, err = s.close(id, p); err != nil {
		return Change{}, err
	}
	if a.removal() {
		r.State = Cooling
		return s.beginRemoval(ctx, a, who, r)
	}
	d, err := s.draw(id, a.kind)
	if err != nil {
		return Change{}, err
	}
	r.CodeKey, r.LinkKey, r.TargetKey = d.codeKey, d.linkKey, s.targetKeys(a.value)[0]
	if r, err = s.store.insert(ctx, r, s.policy.codeLife(a.kind)); err != nil {
		return Change{}, err
	}
	if err := s.sendCode(ctx, a, r, d); err != nil {
		return Change{}, err
	}
	return r.change(p), s.audit.Record(ctx, r.event(audit.ContactAsked, a.by))
}

func (s *Service) beginRemoval(ctx context.Context, a asking, who citizens.Citizen, r row) (Change, error) {
	r, err := s.store.insert(ctx, r, s.policy.cooling(a.author))
	if err != nil {
		return Change{}, err
	}
	if err := s.notify(ctx, who, NoticeRemoval, s.words(r, who.Contacts.Of(a.kind).Value)); err != nil {
		return Change{}, err
	}
	return r.change(pair{}), s.audit.Record(ctx, r.event(audit.ContactAsked, a.by))
}

// sendCode tells the code to the contact, whoever that is: nothing about the
// person is in the message.
func (s *Service) sendCode(ctx context.Context, a asking, r row, d secretsOf) error {
	words := delivery.Words{"Code": d.code, "Variant": "change"}
	if a.kind == citizens.Email {
		words["Variant"], words["Link"] = "change-link", s.site+confirmPath+"?t="+d.link
	}
	return s.outbox.Enqueue(ctx, delivery.Message{
		Key: ContactCode, Channel: channelOf(a.kind), Citizen: a.who, To: delivery.NewRecipient(a.value.Reveal()),
		Language: a.language, Ref: string(r.ID), Words: words,
	})
}

// words say what changes, masked, and from when on.
func (s *Service) words(r row, v citizens.ContactValue) delivery.Words {
	return delivery.Words{"Contact": v.Masked(), "Until": r.DueAt.In(s.italy).Format("02/01/2006 15:04")}
}
