package credentials

import (
	"context"
	"math"
	"slices"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// Notices of what happens to a PIN.
const (
	NoticePINIssued    delivery.MessageKey = "notice-pin-issued"
	NoticePINActivated delivery.MessageKey = "notice-pin-activated"
	NoticePINChanged   delivery.MessageKey = "notice-pin-changed"
	NoticePINLocked    delivery.MessageKey = "notice-locked"
	NoticePINResumed   delivery.MessageKey = "notice-pin-resumed"
	NoticePINExpired   delivery.MessageKey = "notice-pin-expired"
)

// reportPath is the page behind "that was not me".
const reportPath = "/pin/report"

// reportCodeLength is that of the code in an SMS, which has no link: messages
// with links are what impostors send.
const reportCodeLength = 8

// Notify tells somebody, by every contact on file and by those of also, what
// happens to his PIN or to his contacts, and gives him a way to say that it was
// not he, without signing in: a link in a mail, a code in an SMS. It joins the
// transaction of what it tells about. An address that stands in both places is
// told once, one whose channel is off not at all; nobody writes to the dead. The
// words say When, in Italy, unless the caller does.
//
// A person gets a few of one kind in a day and no more: nobody's telephone is a
// toy.
func (s *Service) Notify(ctx context.Context, who citizens.Citizen, key delivery.MessageKey, words delivery.Words, also ...citizens.Contact) error {
	return s.tell(ctx, who, key, words, s.everyWay(who, also))
}

func (s *Service) tell(ctx context.Context, who citizens.Citizen, key delivery.MessageKey, words delivery.Words, ways []way) error {
	return s.tellUpTo(ctx, s.policy.Procedures.Notices, who, key, words, ways)
}

// Warn is Notify however often the person has been told the same that day. It is
// for what he must be able to object to and what has a limit a day of its own:
// else whoever does it a few times, and takes it back, does it once more unseen.
func (s *Service) Warn(ctx context.Context, who citizens.Citizen, key delivery.MessageKey, words delivery.Words, also ...citizens.Contact) error {
	return s.tellUpTo(ctx, math.MaxInt, who, key, words, s.everyWay(who, also))
}

func (s *Service) tellUpTo(ctx context.Context, most int, who citizens.Citizen, key delivery.MessageKey, words delivery.Words, ways []way) error {
	if len(ways) == 0 || who.DeceasedOn != nil {
		return nil
	}
	n, now, err := s.store.noticesToday(ctx, who.ID, key)
	if err != nil || n >= most {
		return err
	}
	var link, code Code
	if link.value, err = drawFrom(urlAlphabet, linkLength); err != nil {
		return err
	}
	if code.value, err = drawFrom(digits, reportCodeLength); err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	row := notice{ID: string(id), CitizenID: who.ID, Message: key, LinkKey: s.linkKeys(link)[0], CodeKey: s.reportKeys(string(id), code)[0]}
	if err := s.store.addNotice(ctx, row, s.policy.Procedures.ReportLife); err != nil {
		return err
	}
	for _, w := range ways {
		say := delivery.Words{"When": s.when(now), "Link": s.page(reportPath, link)}
		if w.channel == delivery.SMS {
			say = delivery.Words{"When": s.when(now), "Report": code.Reveal()}
		}
		for name, value := range words {
			say[name] = value
		}
		if err := s.send(ctx, who, key, w, row.ID, say); err != nil {
			return err
		}
	}
	return nil
}

// when is a time as messages say it, by the clocks of Italy.
func (s *Service) when(t time.Time) string { return t.In(s.italy).Format("02/01/2006, 15:04") }

// everyWay is how somebody is reached, the contacts on file before the others.
func (s *Service) everyWay(who citizens.Citizen, also []citizens.Contact) []way {
	var list []way
	on := s.ways(who)
	for _, kind := range citizens.ContactKinds() {
		if w, ok := on[kind]; ok {
			list = append(list, w)
		}
	}
	for _, c := range also {
		known := slices.ContainsFunc(list, func(w way) bool { return w.to.Value.Same(c.Value) })
		if channel := channelOf(c.Value.Kind()); !known && !c.IsZero() && s.outbox.Has(channel) {
			list = append(list, way{channel, c})
		}
	}
	return list
}

func (s *Service) reportKeys(notice string, code Code) [][]byte {
	return s.keyed("report/v1|" + notice + "|" + code.value)
}

// whichNotice tells which of the notices a code is from.
func (s *Service) whichNotice(list []notice, code Code) (notice, bool) {
	i := slices.IndexFunc(list, func(n notice) bool { return Match(n.CodeKey, s.reportKeys(n.ID, code)) })
	if i < 0 {
		return notice{}, false
	}
	return list[i], true
}
