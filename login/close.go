package login

import (
	"context"
	"errors"
	"fmt"
)

// ErrOver says that an interaction has ended, or else the session in which it was
// to go on: Interactions.Over tells which.
var ErrOver = errors.New("interaction or session over")

// Close ends i and touches s, in the transaction that issues something in that
// session: of any number of tabs one wins, and an end of the session that comes
// at the same time waits, and finds what was issued. What the service sent is
// erased. With the commit at the latest it is ErrOver, where i has ended meanwhile
// or s is over.
func (n *Sessions) Close(ctx context.Context, i Interaction, s Session) error {
	return marked(n.close(ctx, s, ErrOver, opened, interactionStore{n.db}.opened(i)))
}

// CloseAnswered is Close and Interactions.Answer in one: of the answer nothing has
// to be kept, since what comes of it is in the same transaction. Instead of ErrOver
// it is ErrAnswered, also where i was answered in s before.
func (n *Sessions) CloseAnswered(ctx context.Context, i Interaction, s Session) error {
	if err := n.close(ctx, s, ErrAnswered, unanswered, interactionStore{n.db}.unanswered(i, s.ID)); err != nil {
		return fmt.Errorf("answer interaction: %w", err)
	}
	return nil
}

// close takes the session's row first, as whoever ends it does. A session that is
// only to be held is a condition of the same statement.
func (n *Sessions) close(ctx context.Context, s Session, over error, which string, args []any) error {
	args = append([]any{n.db.NowExpr()}, args...)
	if s.noted() {
		which += ` AND EXISTS ?`
		args = append(args, n.store.holding(s.ID))
	} else if err := n.store.touch(ctx, s.ID); err != nil {
		return err
	}
	return n.db.Writer(ctx).Must(over, `UPDATE interactions SET `+ending+which+` RETURNING 1`, args...)
}

// Over says why Close could not: i has ended, which is a *LostError, or else its
// session is over, which is ErrNoSession.
func (n *Interactions) Over(ctx context.Context, i Interaction) error {
	if err := n.stillOpen(ctx, i); err != nil {
		return fmt.Errorf("look at an interaction: %w", err)
	}
	return ErrNoSession
}
