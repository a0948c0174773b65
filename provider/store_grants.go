package provider

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

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
	UserinfoClaims    words  // asked for by the claims parameter
	IDTokenClaims     words  `gorm:"column:id_token_claims"`
	Details           string `gorm:"column:authorization_details"` // as authorizations encodes them
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
	RevokedReason     string
	CreatedAt         time.Time
	ExpiresAt         time.Time
	Now               time.Time `gorm:"-"` // the database's clock at the read
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

// Value implements driver.Valuer.
func (w words) Value() (driver.Value, error) { return strings.Join(w, " "), nil }

// insert keeps a new grant. Its deadlines count from the database's clock.
func (g *grants) insert(ctx context.Context, r *grantRow) error {
	row := map[string]any{
		"id": r.ID, "code_hash": r.CodeHash, "client_id": r.ClientID, "citizen_id": string(r.CitizenID), "subject": r.Subject,
		"session_id": r.SessionID, "scopes": r.Scopes, "userinfo_claims": r.UserinfoClaims, "id_token_claims": r.IDTokenClaims,
		"resources": r.Resources, "redirect_uri": r.RedirectURI, "code_challenge": r.CodeChallenge, "nonce": r.Nonce, "bound_to": r.BoundTo,
		"authorization_details": r.Details,
		"offline":               r.Offline, "acr": r.ACR, "amr": r.AMR, "auth_time": database.Truncate(r.AuthTime),
		"code_expires_at": g.db.NowPlus(g.lifetimes.Code), "refresh_generation": 0, "revoked_reason": "", "created_at": g.db.NowExpr(),
		"expires_at": g.db.NowPlus(g.lifetimes.Code + g.lifetimes.AccessToken),
	}
	if !r.CodeExpiresAt.IsZero() { // a device's code has been running since before the citizen came
		row["code_expires_at"], row["expires_at"] = database.Truncate(r.CodeExpiresAt), database.Truncate(r.CodeExpiresAt.Add(g.lifetimes.AccessToken))
	}
	if r.Offline {
		end := database.Truncate(r.AuthTime.Add(g.lifetimes.Refresh))
		row["refresh_expires_at"], row["expires_at"] = end, end
	}
	if err := g.db.Write(ctx).Table("grants").Create(row).Error; err != nil {
		return fmt.Errorf("insert grant: %w", err)
	}
	return nil
}

// byCode is the grant that a code was issued for, used, expired or not.
func (g *grants) byCode(ctx context.Context, hash []byte) (grantRow, error) {
	return g.one(ctx, "code_hash = ?", hash)
}

// byID is a grant in whatever state it is.
func (g *grants) byID(ctx context.Context, id string) (grantRow, error) {
	return g.one(ctx, "id = ?", id)
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

func (g *grants) one(ctx context.Context, where string, key any) (grantRow, error) {
	var r struct {
		Row   grantRow `gorm:"embedded"`
		Clock database.Time
	}
	err := g.db.Read(ctx).Table("grants").Select("*, ? AS clock", g.db.NowExpr()).Where(where, key).Take(&r).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return grantRow{}, errGrantGone
	}
	if err != nil {
		return grantRow{}, fmt.Errorf("read grant: %w", err)
	}
	r.Row.Now = r.Clock.Time
	return r.Row, nil
}

// redeem uses up the code, and starts the refresh family where the grant has
// one. False means that another got there first, or that it is too late.
func (g *grants) redeem(ctx context.Context, id, boundTo string, first *refreshToken) (bool, error) {
	set := map[string]any{"code_used_at": g.db.NowExpr(), "bound_to": boundTo}
	if first != nil {
		set["refresh_generation"], set["refresh_hash"], set["refreshed_at"] = first.generation, first.hash(), g.db.NowExpr()
	}
	return g.update(ctx, "redeem code", set,
		"id = ? AND code_used_at IS NULL AND revoked_at IS NULL AND code_expires_at > ?", id, g.db.NowExpr())
}

// rotate replaces a refresh token by its successor. Whoever presents the same
// token again within the grace, and while the successor is unused, gets the
// same successor: one statement serves the winner and its twins.
func (g *grants) rotate(ctx context.Context, from, to refreshToken) (bool, error) {
	now := g.db.NowExpr()
	fresh := "(refresh_generation = ? AND refresh_hash = ?)"
	res := g.db.Write(ctx).Exec(`UPDATE grants SET refreshed_at = CASE WHEN refresh_generation = ? THEN ? ELSE refreshed_at END,
		refresh_generation = ?, refresh_hash = ?
		WHERE id = ? AND revoked_at IS NULL AND refresh_expires_at > ? AND (`+fresh+` OR (`+fresh+` AND refreshed_at > ?))`,
		from.generation, now, to.generation, to.hash(), from.grant, now,
		from.generation, from.hash(), to.generation, to.hash(), g.db.NowPlus(-g.lifetimes.RefreshGrace))
	if res.Error != nil {
		return false, fmt.Errorf("rotate refresh token: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
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
	err := g.db.Write(ctx).Raw(`UPDATE grants SET revoked_at = ?, revoked_reason = ?
		WHERE `+where+` AND revoked_at IS NULL AND expires_at > ?
		RETURNING id, client_id, citizen_id, session_id`, args...).Scan(&ended).Error
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
