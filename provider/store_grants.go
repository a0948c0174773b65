package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
)

// errGrantGone says that a grant does not exist, has ended or was revoked.
var errGrantGone = errors.New("no such grant")

// replayMemory is how long a dead grant is still recognised: a code or a
// refresh token that comes back in that time is audited as a replay.
const replayMemory = 2 * time.Hour

// grants is the table of authorizations. What is single-use is claimed by
// conditional UPDATEs whose affected rows tell who won; nothing is decided by
// what was read before.
type grants struct {
	db        *database.DB
	lifetimes Lifetimes
}

// grantRow is one authorization: the code with its PKCE challenge, the OpenID
// Connect request, and the family of refresh tokens.
type grantRow struct {
	ID                string
	CodeHash          []byte
	ClientID          string
	CitizenID         citizens.ID
	Subject           string // the sub that this client sees
	SessionID         string // the sid claim
	Scopes            words
	UserinfoClaims    words // asked for by the claims parameter; only standing reads them
	IDTokenClaims     words
	Details           string // as authorizations encodes them
	Resources         words  // named at authorize; none means the issuer itself
	RedirectURI       string
	CodeChallenge     string // of PKCE S256, empty without
	Nonce             string
	BoundTo           string // the key it belongs to, empty for none
	Offline           bool   // refresh tokens are issued, sign-out does not end it
	ACR               string
	AMR               words
	AuthTime          time.Time
	CodeExpiresAt     time.Time // before the insert: zero for an authorization code's life
	CodeUsedAt        *time.Time
	RefreshGeneration uint32
	RefreshHash       []byte
	RefreshedAt       *time.Time
	RefreshExpiresAt  *time.Time
	RevokedAt         *time.Time
	ExpiresAt         time.Time
	Now               time.Time // the database's clock at the read
}

// words is a list kept as one text column.
type words []string

// Scan implements sql.Scanner.
func (w *words) Scan(src any) error {
	switch v := src.(type) {
	case string:
		*w = strings.Fields(v)
	case []byte:
		*w = strings.Fields(string(v))
	default:
		return fmt.Errorf("scan words: unexpected %T", src)
	}
	return nil
}

func (w words) text() string { return strings.Join(w, " ") }

const grantInsert = `INSERT INTO grants (id, code_hash, client_id, citizen_id, subject, session_id, scopes, userinfo_claims, id_token_claims,
	resources, redirect_uri, code_challenge, nonce, bound_to, authorization_details, offline, acr, amr, auth_time, code_expires_at,
	refresh_generation, revoked_reason, created_at, refresh_expires_at, expires_at)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', ?, ?, ?)`

// insert keeps a new grant, with the transaction's commit at the latest. Its
// deadlines count from the database's clock.
func (g *grants) insert(ctx context.Context, r *grantRow) error {
	code, refresh, end := g.deadlines(r)
	err := g.db.Writer(ctx).Later(grantInsert, r.ID, r.CodeHash, r.ClientID, string(r.CitizenID), r.Subject, r.SessionID,
		r.Scopes.text(), r.UserinfoClaims.text(), r.IDTokenClaims.text(), r.Resources.text(), r.RedirectURI, r.CodeChallenge, r.Nonce,
		r.BoundTo, r.Details, r.Offline, r.ACR, r.AMR.text(), database.Truncate(r.AuthTime), code, g.db.NowExpr(), refresh, end)
	if err != nil {
		return fmt.Errorf("insert grant: %w", err)
	}
	return nil
}

// deadlines are the ends of a new grant's code, of its refresh tokens, where
// there will be any, and of itself.
func (g *grants) deadlines(r *grantRow) (code, refresh, end any) {
	code, end = g.db.NowPlus(g.lifetimes.Code), g.db.NowPlus(g.lifetimes.Code+g.lifetimes.AccessToken)
	if !r.CodeExpiresAt.IsZero() { // a device's code has been running since before the citizen came
		code, end = database.Truncate(r.CodeExpiresAt), database.Truncate(r.CodeExpiresAt.Add(g.lifetimes.AccessToken))
	}
	if r.Offline {
		refresh = database.Truncate(r.AuthTime.Add(g.lifetimes.Refresh))
		end = refresh
	}
	return code, refresh, end
}

// byCode is the grant that a code was issued for, used, expired or not.
func (g *grants) byCode(ctx context.Context, hash []byte) (grantRow, error) {
	return g.one(ctx, grantSelect+"code_hash = ?", hash)
}

// byID is a grant in whatever state it is.
func (g *grants) byID(ctx context.Context, id string) (grantRow, error) {
	return g.one(ctx, grantSelect+"id = ?", id)
}

// live is a grant whose tokens still count.
func (g *grants) live(ctx context.Context, id string) (grantRow, error) {
	r, err := g.byID(ctx, id)
	if err != nil {
		return grantRow{}, err
	}
	if r.RevokedAt != nil || !r.Now.Before(r.ExpiresAt) {
		return grantRow{}, errGrantGone
	}
	return r, nil
}

// standing is the part of a live grant that its access tokens depend on, and
// the clock. The other fields stay zero: every introspection reads this. What
// else is to be read goes with it.
func (g *grants) standing(ctx context.Context, id string, others ...database.Query) (grantRow, error) {
	r, now, found := grantRow{ID: id}, database.Time{}, false
	read := database.Query{
		Text: `SELECT client_id, citizen_id, subject, session_id, userinfo_claims, acr, amr, auth_time, ?
			FROM grants WHERE id = ? AND revoked_at IS NULL AND expires_at > ?`,
		Args: []any{g.db.NowExpr(), id, g.db.NowExpr()},
		Each: func(row database.Row) error {
			found = true
			return row.Scan(&r.ClientID, (*string)(&r.CitizenID), &r.Subject, &r.SessionID, &r.UserinfoClaims, &r.ACR, &r.AMR, &r.AuthTime, &now)
		},
	}
	err := g.db.Reader(ctx).Together(append([]database.Query{read}, others...)...)
	if err != nil {
		return grantRow{}, fmt.Errorf("read grant: %w", err)
	}
	if !found {
		return grantRow{}, errGrantGone
	}
	r.Now = now.Time
	return r, nil
}

// citizenOf finds whose grant it is.
func citizenOf(id string) database.Subquery {
	return database.Subquery{Text: "SELECT citizen_id FROM grants WHERE id = ?", Args: []any{id}}
}

// grantColumns are what who redeems a grant looks at again, in the order of fields.
const grantColumns = `id, client_id, citizen_id, subject, session_id, scopes, id_token_claims, authorization_details, resources,
	redirect_uri, code_challenge, nonce, bound_to, offline, acr, amr, auth_time, code_expires_at, code_used_at,
	refresh_generation, refresh_hash, refreshed_at, refresh_expires_at, revoked_at, expires_at`

func (r *grantRow) fields() []any {
	return []any{
		&r.ID, &r.ClientID, (*string)(&r.CitizenID), &r.Subject, &r.SessionID, &r.Scopes, &r.IDTokenClaims, &r.Details, &r.Resources,
		&r.RedirectURI, &r.CodeChallenge, &r.Nonce, &r.BoundTo, &r.Offline, &r.ACR, &r.AMR, &r.AuthTime, &r.CodeExpiresAt, &r.CodeUsedAt,
		&r.RefreshGeneration, &r.RefreshHash, &r.RefreshedAt, &r.RefreshExpiresAt, &r.RevokedAt, &r.ExpiresAt,
	}
}

const grantSelect = "SELECT " + grantColumns + ", ? FROM grants WHERE "

func (g *grants) one(ctx context.Context, query string, key any) (r grantRow, err error) {
	var now database.Time
	found, err := g.db.Reader(ctx).One(query, []any{g.db.NowExpr(), key}, append(r.fields(), &now)...)
	if err != nil {
		return grantRow{}, fmt.Errorf("read grant: %w", err)
	}
	if !found {
		return grantRow{}, errGrantGone
	}
	r.Now = now.Time
	return r, nil
}

// conditional is a write that decides something by whether it finds its row.
type conditional struct {
	text string
	args []any
}

// redemption uses up the code, and starts the refresh family where the grant has
// one. No row: another got there first, or it is too late.
func (g *grants) redemption(id, boundTo string, first *refreshToken) conditional {
	now := g.db.NowExpr()
	set, args := "code_used_at = ?, bound_to = ?", []any{now, boundTo}
	if first != nil {
		set += ", refresh_generation = ?, refresh_hash = ?, refreshed_at = ?"
		args = append(args, first.generation, first.hash(), now)
	}
	return conditional{"UPDATE grants SET " + set + " WHERE id = ? AND code_used_at IS NULL AND revoked_at IS NULL AND code_expires_at > ?",
		append(args, id, now)}
}

// rotation replaces a refresh token by its successor. Whoever presents the same
// token again within the grace, and while the successor is unused, gets the
// same successor: one statement serves the winner and its twins.
func (g *grants) rotation(from, to refreshToken) conditional {
	now := g.db.NowExpr()
	const fresh = "(refresh_generation = ? AND refresh_hash = ?)"
	return conditional{`UPDATE grants SET refreshed_at = CASE WHEN refresh_generation = ? THEN ? ELSE refreshed_at END,
		refresh_generation = ?, refresh_hash = ?
		WHERE id = ? AND revoked_at IS NULL AND refresh_expires_at > ? AND (` + fresh + ` OR (` + fresh + ` AND refreshed_at > ?))`,
		[]any{
			from.generation, now, to.generation, to.hash(), from.grant, now,
			from.generation, from.hash(), to.generation, to.hash(), g.db.NowPlus(-g.lifetimes.RefreshGrace),
		}}
}

// burn makes a code useless before it was redeemed.
func (g *grants) burn(ctx context.Context, id, reason string) (bool, error) {
	return g.update(ctx, "burn code",
		map[string]any{"code_used_at": g.db.NowExpr(), "revoked_at": g.db.NowExpr(), "revoked_reason": reason},
		"id = ? AND code_used_at IS NULL AND revoked_at IS NULL", id)
}

// revoke ends one grant with all its tokens. False: it had ended before.
func (g *grants) revoke(ctx context.Context, id, reason string) (bool, error) {
	return g.update(ctx, "revoke grant", g.revoked(reason), "id = ? AND revoked_at IS NULL", id)
}

func (g *grants) revoked(reason string) map[string]any {
	return map[string]any{"revoked_at": g.db.NowExpr(), "revoked_reason": reason}
}

func (g *grants) update(ctx context.Context, doing string, set map[string]any, where string, args ...any) (bool, error) {
	res := g.db.Write(ctx).Table("grants").Where(where, args...).Updates(set)
	if res.Error != nil {
		return false, fmt.Errorf("%s: %w", doing, res.Error)
	}
	return res.RowsAffected > 0, nil
}

// revokeAll ends the live grants that where selects, and says which. Expired
// ones are left alone: nobody needs a record of their end.
func (g *grants) revokeAll(ctx context.Context, reason, where string, args ...any) ([]grantRow, error) {
	var ended []grantRow
	args = append([]any{g.db.NowExpr(), reason}, append(args, g.db.NowExpr())...)
	err := g.db.Writer(ctx).All(`UPDATE grants SET revoked_at = ?, revoked_reason = ?
		WHERE `+where+` AND revoked_at IS NULL AND expires_at > ?
		RETURNING id, client_id, citizen_id, session_id`, args, func(row database.Row) error {
		var r grantRow
		err := row.Scan(&r.ID, &r.ClientID, &r.CitizenID, &r.SessionID)
		ended = append(ended, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("revoke grants: %w", err)
	}
	return ended, nil
}

// sweepBatch bounds what one statement deletes, and so how long it locks.
const sweepBatch = 1000

// sweep deletes a batch of grants that are over, once a replay of theirs need
// not be recognised any more.
func (g *grants) sweep(ctx context.Context) (int, error) {
	return g.remove(ctx, `DELETE FROM grants WHERE id IN
		(SELECT id FROM grants WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`, g.db.NowPlus(-replayMemory), sweepBatch)
}

// sweepAssertions deletes a batch of assertions that have expired.
func (g *grants) sweepAssertions(ctx context.Context) (int, error) {
	return g.remove(ctx, `DELETE FROM assertion_jtis WHERE (client_id, jti_hash) IN
		(SELECT client_id, jti_hash FROM assertion_jtis WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`, g.db.NowExpr(), sweepBatch)
}

func (g *grants) remove(ctx context.Context, statement string, args ...any) (int, error) {
	res := g.db.Write(ctx).Exec(statement, args...)
	if res.Error != nil {
		return 0, fmt.Errorf("sweep: %w", res.Error)
	}
	return int(res.RowsAffected), nil
}
