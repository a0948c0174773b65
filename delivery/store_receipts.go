package delivery

import (
	"context"
	"time"

	"ente.example/idp/database"
)

// receiptLease is how long one node reads a mailbox without a sign of life. It
// is longer than a connection may last.
const receiptLease = 5 * time.Minute

// mailboxes owns the table receipt_mailboxes.
type mailboxes struct{ db *database.DB }

// position is how far a mailbox has been read. UIDs only grow, as long as the
// server says the same validity.
type position struct {
	UIDValidity uint32
	LastUID     uint32
}

// claim takes the mailbox for this node; false while another has it.
func (s mailboxes) claim(ctx context.Context, mailbox string) (position, bool, error) {
	var list []position
	err := s.db.Write(ctx).Raw(`
INSERT INTO receipt_mailboxes (mailbox, uid_validity, last_uid, leased_till) VALUES (?, 0, 0, ?)
ON CONFLICT (mailbox) DO UPDATE SET leased_till = excluded.leased_till
WHERE receipt_mailboxes.leased_till IS NULL OR receipt_mailboxes.leased_till <= ?
RETURNING uid_validity, last_uid`, mailbox, s.db.NowPlus(receiptLease), s.db.NowExpr()).Scan(&list).Error
	if err != nil || len(list) == 0 {
		return position{}, false, err
	}
	return list[0], true, nil
}

// restart forgets how far a mailbox was read, because the server numbers its
// mails anew.
func (s mailboxes) restart(ctx context.Context, mailbox string, validity uint32) error {
	return s.db.Write(ctx).Exec(`UPDATE receipt_mailboxes SET uid_validity = ?, last_uid = 0 WHERE mailbox = ? AND uid_validity <> ?`,
		validity, mailbox, validity).Error
}

// advance never goes back, whoever else has read in the meantime.
func (s mailboxes) advance(ctx context.Context, mailbox string, validity, uid uint32) error {
	return s.db.Write(ctx).Exec(`
UPDATE receipt_mailboxes SET last_uid = ?, leased_till = ? WHERE mailbox = ? AND uid_validity = ? AND last_uid < ?`,
		uid, s.db.NowPlus(receiptLease), mailbox, validity, uid).Error
}

func (s mailboxes) release(ctx context.Context, mailbox string) error {
	return s.db.Write(ctx).Exec(`UPDATE receipt_mailboxes SET leased_till = NULL WHERE mailbox = ?`, mailbox).Error
}
