package delivery

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/textproto"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/google/uuid"

	"ente.example/idp/database"
)

const (
	// receiptPoll is how often the mailbox is looked at.
	receiptPoll = 30 * time.Second
	// receiptSession bounds one look, within the lease.
	receiptSession = 4 * time.Minute
	// receiptBatch is how many receipts one look takes at most.
	receiptBatch = 500
	// receiptDays is how far back a new process looks at what was not believed.
	receiptDays = 7 * 24 * time.Hour
)

// ReceiptsDeps are what Receipts are made of.
type ReceiptsDeps struct {
	DB       *database.DB
	Outcomes *Outcomes
	Logger   *slog.Logger
	// Poll is how often to look; zero: every 30 s.
	Poll time.Duration
}

// Receipts read what the PEC provider certifies, from our PEC mailbox.
type Receipts struct {
	ReceiptsDeps
	gateway gateway
	reader  receiptReader
	store   mailboxes
	// looked says that this process has read the mailbox once; see recent.
	looked atomic.Bool
}

// NewReceiptsFromURL takes IDP_PEC_IMAP_URL (imaps://user:password@host, a
// mailbox other than INBOX as its path), IDP_PEC_FROM and IDP_PEC_CA_FILE.
func NewReceiptsFromURL(address, from, caFile string, d ReceiptsDeps, n Network) (*Receipts, error) {
	if d.DB == nil || d.Outcomes == nil {
		return nil, errors.New("delivery: receipts need DB and Outcomes")
	}
	g, err := parseGateway("IDP_PEC_IMAP_URL", address, schemes{"imap", "imaps", "143", "993"}, n)
	if err != nil {
		return nil, err
	}
	if g.user == "" {
		return nil, errors.New("IDP_PEC_IMAP_URL must name a user and a password")
	}
	if g.mailbox == "" {
		g.mailbox = "INBOX"
	}
	reader, err := newReceiptReader(from, caFile)
	if err != nil {
		return nil, err
	}
	if d.Poll <= 0 {
		d.Poll = receiptPoll
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return &Receipts{ReceiptsDeps: d, gateway: g, reader: reader, store: mailboxes{d.DB}}, nil
}

// Run reads receipts until ctx ends. Any number of nodes may run it: one at a
// time reads. It survives a server or a database that goes away.
func (r *Receipts) Run(ctx context.Context) error {
	tick := time.NewTicker(r.Poll)
	defer tick.Stop()
	for {
		if _, err := r.Read(ctx); err != nil && ctx.Err() == nil {
			r.Logger.WarnContext(ctx, "PEC receipts cannot be read, will be tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// key names the mailbox in the database.
func (r *Receipts) key() string {
	return r.gateway.user + "@" + r.gateway.address() + "/" + r.gateway.mailbox
}

// Read looks once, and says how many receipts were news.
func (r *Receipts) Read(ctx context.Context) (int, error) {
	from, ours, err := r.store.claim(ctx, r.key())
	if err != nil {
		return 0, fmt.Errorf("take the PEC mailbox: %w", err)
	}
	if !ours {
		return 0, nil
	}
	n, err := r.session(ctx, from)
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return n, errors.Join(err, r.store.release(leaving, r.key()))
}

// session is one visit to the IMAP server.
func (r *Receipts) session(ctx context.Context, from position) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, receiptSession)
	defer cancel()
	conn, leave, err := r.gateway.dial(ctx)
	defer leave()
	if err != nil {
		return 0, fmt.Errorf("reach the PEC mailbox: %w", err)
	}
	var c *imapclient.Client
	if r.gateway.implicit || r.gateway.plain {
		c = imapclient.New(conn, nil)
	} else if c, err = imapclient.NewStartTLS(conn, &imapclient.Options{TLSConfig: r.gateway.tls()}); err != nil {
		return 0, fmt.Errorf("start TLS with the PEC mailbox: %w", err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Login(r.gateway.user, r.gateway.password).Wait(); err != nil {
		return 0, fmt.Errorf("open the PEC mailbox: %w", err)
	}
	box, err := c.Select(r.gateway.mailbox, nil).Wait()
	if err != nil {
		return 0, fmt.Errorf("open the PEC mailbox: %w", err)
	}
	if box.UIDValidity != from.UIDValidity {
		if err := r.store.restart(ctx, r.key(), box.UIDValidity); err != nil {
			return 0, fmt.Errorf("restart the PEC mailbox: %w", err)
		}
		from = position{UIDValidity: box.UIDValidity}
	}
	return r.readFrom(ctx, c, from)
}

// readFrom reads what has come since. Each receipt moves the position in the
// transaction that records it, so none is lost and none counts twice.
func (r *Receipts) readFrom(ctx context.Context, c *imapclient.Client, from position) (int, error) {
	now, err := r.DB.Now(ctx)
	if err != nil {
		return 0, fmt.Errorf("list the PEC mailbox: %w", err)
	}
	again, err := r.recent(c, from, now)
	if err != nil {
		return 0, fmt.Errorf("search the PEC mailbox: %w", err)
	}
	list, last, err := r.candidates(c, from, again)
	if err != nil {
		return 0, fmt.Errorf("list the PEC mailbox: %w", err)
	}
	news := 0
	for _, uid := range list {
		raw, err := fetch(c, uid)
		if err != nil {
			return news, fmt.Errorf("fetch a PEC receipt: %w", err)
		}
		fresh, err := r.take(ctx, from.UIDValidity, uid, raw, now)
		if err != nil {
			return news, err
		}
		if fresh {
			news++
			// for the people who look into the mailbox; nothing hangs on it
			_ = c.Store(imap.UIDSetNum(uid), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagSeen}, Silent: true}, nil).Close()
		}
	}
	if err := r.store.advance(ctx, r.key(), from.UIDValidity, last); err != nil {
		return news, fmt.Errorf("move on in the PEC mailbox: %w", err)
	}
	r.looked.Store(len(list) < receiptBatch)
	return news, nil
}

// take believes one receipt or leaves it.
func (r *Receipts) take(ctx context.Context, validity uint32, uid imap.UID, raw []byte, now time.Time) (fresh bool, err error) {
	report, unbelieved := r.reader.read(raw, now)
	err = r.DB.InTx(ctx, func(ctx context.Context) error {
		if unbelieved == nil {
			var err error
			if fresh, err = r.Outcomes.Record(ctx, report); errors.Is(err, ErrUnknownDelivery) {
				unbelieved = err
			} else if err != nil {
				return err
			}
		}
		return r.store.advance(ctx, r.key(), validity, uint32(uid))
	})
	if err != nil {
		return false, fmt.Errorf("take a PEC receipt: %w", err)
	}
	if unbelieved != nil {
		r.Logger.WarnContext(ctx, "a PEC receipt is not believed", "uid", uint32(uid), "error", unbelieved)
	}
	return fresh, nil
}

// recent lists mails of the last days that were read before and not believed:
// when the file of authorities was wrong, mending it and starting again is
// enough. Later looks of a process take only what is new.
func (r *Receipts) recent(c *imapclient.Client, from position, now time.Time) ([]imap.UID, error) {
	if r.looked.Load() || from.LastUID == 0 {
		return nil, nil
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{
		Since: now.Add(-receiptDays), NotFlag: []imap.Flag{imap.FlagSeen},
		Header: []imap.SearchCriteriaHeaderField{{Key: "X-Ricevuta"}},
	}, nil).Wait()
	if err != nil {
		return nil, err
	}
	return found.AllUIDs(), nil
}

// candidates lists the mails that say they are receipts about us, oldest first,
// and the last mail of all. The headers alone are fetched: the rest of the
// mailbox is nobody's business here.
func (r *Receipts) candidates(c *imapclient.Client, from position, again []imap.UID) (list []imap.UID, last uint32, err error) {
	since := imap.UIDSetNum(again...)
	since.AddRange(imap.UID(from.LastUID)+1, 0)
	section := &imap.FetchItemBodySection{
		Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"X-Ricevuta", "X-Riferimento-Message-ID"}, Peek: true,
	}
	mails, err := c.Fetch(since, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil {
		return nil, 0, err
	}
	for _, m := range mails {
		if m.UID <= imap.UID(from.LastUID) && !slices.Contains(again, m.UID) { // "*" is the last mail, however old
			continue
		}
		if len(list) == receiptBatch {
			return list, last, nil
		}
		if last = max(last, uint32(m.UID)); r.candidate(only(m)) {
			list = append(list, m.UID)
		}
	}
	return list, last, nil
}

func (r *Receipts) candidate(header []byte) bool {
	h, err := textproto.NewReader(bufio.NewReader(io.MultiReader(bytes.NewReader(header), strings.NewReader("\r\n")))).ReadMIMEHeader()
	if err != nil || h.Get("X-Ricevuta") == "" {
		return false
	}
	id, own := r.reader.delivery(strings.Trim(strings.TrimSpace(h.Get("X-Riferimento-Message-ID")), "<>"))
	_, err = uuid.Parse(id)
	return own && err == nil
}

// fetch gets one mail whole, or its beginning if it is too large to be a
// receipt: then it is not believed.
func fetch(c *imapclient.Client, uid imap.UID) ([]byte, error) {
	section := &imap.FetchItemBodySection{Peek: true, Partial: &imap.SectionPartial{Offset: 0, Size: maxReceipt + 1}}
	mails, err := c.Fetch(imap.UIDSetNum(uid), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil || len(mails) == 0 {
		return nil, err // somebody has deleted it
	}
	return only(mails[0]), nil
}

// only is the one section that was asked for. Servers repeat its name in their
// own spelling, so the name is not looked at.
func only(m *imapclient.FetchMessageBuffer) []byte {
	if len(m.BodySection) == 0 {
		return nil
	}
	return m.BodySection[0].Bytes
}
