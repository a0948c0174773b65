package delivery

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery/deliverytest"
)

// by is the same message by each channel.
func by(c Channel, ref string) Message {
	m := sms(ref)
	m.Channel = c
	switch c {
	case Email, PEC:
		m.To = NewRecipient("mario@example.org")
	case Post:
		m.Key, m.To = PINHalf2, NewRecipient("Via Roma 1\n00100 Roma")
	case SMS:
	}
	return m
}

// P8: a gateway that accepts connections and says nothing holds up neither the
// page that queues a message nor the other channels, and lets the node leave.
func TestP8AStuckGatewayHoldsUpNobody(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f, ca := newFixture(t, db, newRing(t)), deliverytest.NewAuthority(t)
		host, post, silence := deliverytest.NewMailServer(t, ca.TLS(), true), newPostBox(t, words1(t)), deliverytest.Stuck(t).Addr().String()
		arrived := make(chan struct{}, 100)
		host.Data = func(deliverytest.Mail) error { arrived <- struct{}{}; return nil }
		sms, err := NewSMSFromURL("http://"+silence, smsToken, Network{})
		if err != nil {
			t.Fatal(err)
		}
		pec, err := NewPECFromURL("smtps://"+deliverytest.MailLogin+silence, pecFrom, Network{Roots: ca.Roots()})
		if err != nil {
			t.Fatal(err)
		}
		f.senders = map[Channel]Sender{SMS: sms, PEC: pec, Post: post, Email: mailer1(t, "smtps://"+deliverytest.MailLogin+host.Address, Network{Roots: ca.Roots()})}
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() { gone <- f.Run(ctx) }()

		const people = 3 * claims // more than the stuck workers can hold
		var slowest time.Duration
		for range people {
			start := time.Now()
			f.enqueue(by(SMS, "c"), by(PEC, "c"), by(Email, "c"), by(Post, "c"))
			slowest = max(slowest, time.Since(start))
		}
		if slowest > sms.(*smsGateway).client.Timeout/2 {
			t.Errorf("queueing took %v: it waits for a gateway", slowest)
		}
		for range people {
			<-arrived
		}
		for f.count("deliveries WHERE channel IN ('email', 'post') AND state = 'accepted'") < 2*people {
			if t.Context().Err() != nil {
				t.Fatal("the other channels did not finish")
			}
		}
		if n := f.count("deliveries WHERE channel IN ('sms', 'pec') AND state = 'queued'"); n != 2*people {
			t.Errorf("%d messages wait for the stuck gateways, want %d", n, 2*people)
		}
		leave()
		if err := <-gone; err != nil {
			t.Error(err)
		}
		if n := f.count("deliveries WHERE leased_till IS NOT NULL"); n != 0 {
			t.Errorf("the node left with %d messages in its hands", n)
		}
	})
}

// P12: a node that dies between hand-over and record hands over again, and
// whoever takes it can tell that it is the same.
func TestP12CrashAfterTheHandOver(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ca := deliverytest.NewAuthority(t)
		host, gateway, post := deliverytest.NewMailServer(t, ca.TLS(), true), deliverytest.NewSMSGateway(t), newPostBox(t, words1(t))
		text, err := NewSMSFromURL(gateway.URL, smsToken, Network{})
		if err != nil {
			t.Fatal(err)
		}
		f.senders = map[Channel]Sender{SMS: text, Post: post, Email: mailer1(t, "smtps://"+deliverytest.MailLogin+host.Address, Network{Roots: ca.Roots()})}
		f.enqueue(by(SMS, "c"), by(Email, "c"), by(Post, "c"))
		f.hook = errors.New("the node died here")
		for range 2 {
			for _, c := range []Channel{SMS, Email, Post} {
				if _, err := f.work(t.Context(), c); f.hook != nil && !errors.Is(err, f.hook) || f.hook == nil && err != nil {
					t.Fatalf("%s: %v", c, err)
				}
			}
			databasetest.Shift(t, f.db, DefaultPolicy().Lease+time.Second)
			f.hook = nil
		}
		if texts := gateway.Texts(); len(texts) != 2 || texts[0] != texts[1] {
			t.Errorf("the SMS gateway got %d texts, want the same one twice", len(texts))
		}
		if mails := host.Taken(); len(mails) != 2 || !bytes.Equal(mails[0].Raw, mails[1].Raw) {
			t.Errorf("the mail server got %d mails, want the same one twice, to the byte", len(mails))
		}
		if rows := post.manifest(); len(rows) != 2 || len(post.files()) != 2 {
			t.Errorf("%d rows and %v, want one letter", len(rows)-1, post.files())
		}
		if n := f.count("deliveries WHERE state = 'accepted' AND body IS NULL"); n != 3 {
			t.Errorf("%d accepted, want 3", n)
		}
	})
}
