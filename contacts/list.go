package contacts

import (
	"context"
	"time"

	"ente.example/idp/citizens"
)

// Entry is a kind of contact as its owner sees it.
type Entry struct {
	Kind citizens.ContactKind
	// Counts is the contact that counts; zero if there is none.
	Counts citizens.Contact
	// Change is what is under way; nil if nothing is.
	Change *Change
	// Last is the newest change that is over, when nothing is under way; nil if
	// there was none lately.
	Last *Change
	// Removable: there would be a proved contact left.
	Removable bool
}

// Pause is how long a change waits that somebody asks for with his PIN.
func (s *Service) Pause() time.Duration { return s.policy.CoolingCitizen }

// Reaches reports whether messages can leave by a kind of contact.
func (s *Service) Reaches(kind citizens.ContactKind) bool { return s.outbox.Has(channelOf(kind)) }

// List tells a person's contacts and what is under way, one entry a kind, in
// the order of citizens.ContactKinds.
func (s *Service) List(ctx context.Context, id citizens.ID) ([]Entry, error) {
	who, err := s.citizens.ByID(ctx, id)
	if err != nil {
		return nil, wrap("list contacts", err)
	}
	rows, err := s.store.newest(ctx, id)
	if err != nil {
		return nil, wrap("list contacts", err)
	}
	newest := map[citizens.ContactKind]Change{}
	for _, r := range rows {
		if _, seen := newest[r.Kind]; seen {
			continue
		}
		var p pair
		if !r.State.Over() {
			if p, err = s.open(r); err != nil {
				return nil, wrap("list contacts", err)
			}
		}
		newest[r.Kind] = r.change(p)
	}
	return entries(who.Contacts, newest), nil
}

func entries(on citizens.Contacts, newest map[citizens.ContactKind]Change) []Entry {
	under := map[citizens.ContactKind]Change{}
	for kind, c := range newest {
		if !c.State.Over() {
			under[kind] = c
		}
	}
	var list []Entry
	for _, kind := range citizens.ContactKinds() {
		e := Entry{Kind: kind, Counts: on.Of(kind)}
		e.Removable = !e.Counts.IsZero() && keepsOne(on, append(leaving(under), kind))
		if c, found := newest[kind]; found && c.State.Over() {
			e.Last = &c
		} else if found {
			e.Change = &c
		}
		list = append(list, e)
	}
	return list
}
