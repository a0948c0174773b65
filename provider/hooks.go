package provider

import (
	"context"
	"fmt"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
)

// Why grants end, as the audit and the metrics see it.
const (
	reasonReplay   = "replay"   // a code or refresh token was used twice
	reasonVerifier = "verifier" // a code came with a wrong PKCE verifier
)

// RevokeCitizen ends every grant of a citizen: the PIN was revoked, suspended or
// superseded. It is called in the transaction that does so.
func (p *Provider) RevokeCitizen(ctx context.Context, id citizens.ID, reason string) error {
	return p.revokeWhere(ctx, reason, "citizen_id = ?", string(id))
}

// RevokeConsent ends a citizen's grants to one client: the consent was withdrawn.
func (p *Provider) RevokeConsent(ctx context.Context, id citizens.ID, client, reason string) error {
	return p.revokeWhere(ctx, reason, "citizen_id = ? AND client_id = ?", string(id), client)
}

// EndSession ends what was granted in a session that is over, and has services
// told that want to be. Offline grants stay: that is what they are for.
func (p *Provider) EndSession(ctx context.Context, sid, reason string) error {
	return p.db.InTx(ctx, func(ctx context.Context) error {
		if err := p.queueLogouts(ctx, sid); err != nil {
			return err
		}
		return p.revokeWhere(ctx, reason, "session_id = ? AND offline = ?", sid, false)
	})
}

// RevokeClient ends every grant to a client.
func (p *Provider) RevokeClient(ctx context.Context, client, reason string) error {
	return p.revokeWhere(ctx, reason, "client_id = ?", client)
}

// revokeWhere ends grants and records each, in the caller's transaction or its
// own.
func (p *Provider) revokeWhere(ctx context.Context, reason, where string, args ...any) error {
	err := p.db.InTx(ctx, func(ctx context.Context) error {
		ended, err := p.grants.revokeAll(ctx, reason, where, args...)
		if err != nil || len(ended) == 0 {
			return err
		}
		events := make([]audit.Event, len(ended))
		for i := range ended {
			events[i] = ended[i].event(audit.GrantRevoked, audit.Succeeded, audit.Actor{Kind: audit.System})
			events[i].Reason = reason
		}
		p.db.AfterCommit(ctx, func() { p.metrics.revoked(reason, len(ended)) })
		return p.audit.Record(ctx, events...)
	})
	if err != nil {
		return fmt.Errorf("revoke grants: %w", err)
	}
	return nil
}

// Sweep deletes what nobody can use any more, in batches that lock little, and
// reports how many rows went. It is for the janitor, on one node at a time.
func (p *Provider) Sweep(ctx context.Context) (int, error) {
	total := 0
	for _, sweep := range []func(context.Context) (int, error){p.grants.sweep, p.grants.sweepAssertions, p.SweepTokens, p.logouts.sweep, p.devices.sweep} {
		for {
			n, err := sweep(ctx)
			total += n
			if err != nil {
				return total, err
			}
			if n < sweepBatch || ctx.Err() != nil {
				break
			}
		}
	}
	return total, ctx.Err()
}
