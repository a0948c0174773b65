package main

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// tokens is RFC 6749 §5.1.
type tokens struct {
	Access  string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"`
	Refresh string `json:"refresh_token,omitempty"`
	ID      string `json:"id_token,omitempty"`
	Scope   string `json:"scope,omitempty"`
}

func (f *floor) token(w http.ResponseWriter, r *http.Request) error {
	client, err := f.client(r)
	if err != nil {
		return err
	}
	var t tokens
	switch r.PostFormValue("grant_type") {
	case "client_credentials":
		t.Access, err = f.sign("at+jwt", claims{Subject: client, Client: client, Audience: f.Issuer, ID: random()})
	case "authorization_code":
		t, err = f.exchange(r, client)
	case "refresh_token":
		t, err = f.refresh(r, client)
	default:
		err = errRefused
	}
	if err != nil {
		return err
	}
	t.Type, t.Expires = "Bearer", int(life.Seconds())
	w.Header().Set("Cache-Control", "no-store")
	return answer(w, t)
}

func answer(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// grant is what an exchange reads.
type grant struct {
	id, client, citizen, scope, nonce, challenge, redirect string
	authTime                                               time.Time
	refresh                                                []byte
}

const readGrant = `SELECT id, client_id, citizen_id, scope, nonce, challenge, redirect_uri, auth_time, refresh_hash FROM grants WHERE revoked_at IS NULL AND `

func (f *floor) grant(r *http.Request, where string, key any) (g grant, err error) {
	err = f.db.QueryRow(r.Context(), readGrant+where, key).
		Scan(&g.id, &g.client, &g.citizen, &g.scope, &g.nonce, &g.challenge, &g.redirect, &g.authTime, &g.refresh)
	return g, err
}

// issue signs both tokens of a grant.
func (f *floor) issue(g grant, nonce string) (t tokens, err error) {
	t.Scope = g.scope
	if t.Access, err = f.sign("at+jwt", claims{
		Subject: g.citizen, Audience: f.Issuer, Client: g.client, Scope: g.scope, ID: random(), Grant: g.id, AuthTime: g.authTime.Unix(),
	}); err != nil {
		return t, err
	}
	sum := sha256.Sum256([]byte(t.Access))
	sign := f.sign
	if f.rs256[g.client] {
		sign = f.signRSA
	}
	t.ID, err = sign("JWT", claims{
		Subject: g.citizen, Audience: g.client, Nonce: nonce, AuthTime: g.authTime.Unix(), At: b64.EncodeToString(sum[:16]),
	})
	return t, err
}

// exchange redeems a code: one read, one conditional write.
func (f *floor) exchange(r *http.Request, client string) (t tokens, err error) {
	g, err := f.grant(r, `code_hash = $1 AND code_expires_at > now() AND code_used_at IS NULL`, hash(r.PostFormValue("code")))
	if err != nil {
		return t, err
	}
	if g.client != client || g.redirect != r.PostFormValue("redirect_uri") || g.challenge != b64.EncodeToString(hash(r.PostFormValue("code_verifier"))) {
		return t, errRefused
	}
	if t, err = f.issue(g, g.nonce); err != nil {
		return t, err
	}
	secret := random()
	t.Refresh = g.id + "." + secret
	tag, err := f.db.Exec(r.Context(), `UPDATE grants SET code_used_at = now(), refresh_hash = $2
		WHERE id = $1 AND code_used_at IS NULL AND revoked_at IS NULL AND code_expires_at > now()`, g.id, hash(secret))
	if err == nil && tag.RowsAffected() != 1 {
		err = errRefused
	}
	return t, err
}

// refresh replaces a refresh token: one read, one conditional write.
func (f *floor) refresh(r *http.Request, client string) (t tokens, err error) {
	id, secret, _ := strings.Cut(r.PostFormValue("refresh_token"), ".")
	g, err := f.grant(r, `id = $1 AND expires_at > now()`, id)
	if err != nil {
		return t, err
	}
	if g.client != client || string(g.refresh) != string(hash(secret)) {
		return t, errRefused
	}
	if t, err = f.issue(g, ""); err != nil {
		return t, err
	}
	next := random()
	t.Refresh = g.id + "." + next
	tag, err := f.db.Exec(r.Context(), `UPDATE grants SET refresh_hash = $3 WHERE id = $1 AND refresh_hash = $2 AND revoked_at IS NULL AND expires_at > now()`,
		g.id, hash(secret), hash(next))
	if err == nil && tag.RowsAffected() != 1 {
		err = errRefused
	}
	return t, err
}

// introspect checks the signature and whether the grant is alive.
func (f *floor) introspect(w http.ResponseWriter, r *http.Request) error {
	if _, err := f.client(r); err != nil {
		return err
	}
	c, err := f.open(r.PostFormValue("token"))
	if err != nil {
		return answer(w, map[string]bool{"active": false})
	}
	if _, err := f.grant(r, `id = $1 AND expires_at > now()`, c.Grant); err != nil {
		return answer(w, map[string]bool{"active": false})
	}
	return answer(w, struct {
		Active bool `json:"active"`
		claims
	}{true, c})
}

// userinfo reads grant and person.
func (f *floor) userinfo(w http.ResponseWriter, r *http.Request) error {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	c, err := f.open(token)
	if err != nil {
		return err
	}
	var given, family, email string
	if err := f.db.QueryRow(r.Context(), `SELECT c.given_name, c.family_name, c.email FROM grants g JOIN citizens c ON c.id = g.citizen_id
		WHERE g.id = $1 AND g.revoked_at IS NULL AND g.expires_at > now()`, c.Grant).Scan(&given, &family, &email); err != nil {
		return err
	}
	return answer(w, map[string]string{"sub": c.Subject, "given_name": given, "family_name": family, "name": given + " " + family, "email": email})
}
