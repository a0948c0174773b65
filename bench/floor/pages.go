package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"net/http"
	"net/url"

	"github.com/jackc/pgx/v5/pgxpool"
)

const cookie = "session"

// authorize answers a browser that is signed in and whose consent is kept, and
// shows the form to every other.
func (f *floor) authorize(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if q.Get("prompt") == "none" {
		return f.again(w, r, q)
	}
	id := random()
	if _, err := f.db.Exec(r.Context(), `INSERT INTO interactions (id_hash, request, expires_at) VALUES ($1, $2, now() + interval '1 hour')`,
		hash(id), r.URL.RawQuery); err != nil {
		return err
	}
	return page(w, "/login", id, `<input name="fiscal_code"><input name="pin" type="password"><button>ok</button>`)
}

// again is single sign-on: session, consent and grant in one statement.
func (f *floor) again(w http.ResponseWriter, r *http.Request, q url.Values) error {
	c, err := r.Cookie(cookie)
	if err != nil {
		return errRefused
	}
	code := random()
	tag, err := f.db.Exec(r.Context(), `WITH s AS (
		UPDATE sessions SET seen_at = now() WHERE id_hash = $1 AND expires_at > now() RETURNING citizen_id, auth_time
	) INSERT INTO grants (id, code_hash, client_id, citizen_id, auth_time, scope, nonce, challenge, redirect_uri, code_expires_at, expires_at)
	SELECT $2, $3, $4, s.citizen_id, s.auth_time, $5, $6, $7, $8, now() + interval '1 minute', now() + interval '30 days'
	FROM s JOIN consents k ON k.citizen_id = s.citizen_id AND k.client_id = $4 AND k.scope = $5`,
		hash(c.Value), random(), hash(code), q.Get("client_id"), q.Get("scope"), q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri"))
	if err != nil {
		return err
	}
	if tag.RowsAffected() != 1 {
		return errRefused
	}
	back(w, r, q, code)
	return nil
}

// login checks the PIN against its keyed HMAC and begins a session.
func (f *floor) login(w http.ResponseWriter, r *http.Request) error {
	var citizen string
	var kept []byte
	if err := f.db.QueryRow(r.Context(), `SELECT id, pin_hmac FROM citizens WHERE code_hmac = $1`, keyed(r.PostFormValue("fiscal_code"))).Scan(&citizen, &kept); err != nil {
		return err
	}
	if !hmac.Equal(kept, keyed(citizen+r.PostFormValue("pin"))) {
		return errRefused
	}
	sid, id := random(), r.PostFormValue("id")
	tag, err := f.db.Exec(r.Context(), `WITH i AS (
		UPDATE interactions SET citizen_id = $2 WHERE id_hash = $1 AND citizen_id IS NULL AND expires_at > now() RETURNING citizen_id
	) INSERT INTO sessions (id_hash, citizen_id, auth_time, seen_at, expires_at) SELECT $3, citizen_id, now(), now(), now() + interval '8 hours' FROM i`,
		hash(id), citizen, hash(sid))
	if err != nil {
		return err
	}
	if tag.RowsAffected() != 1 {
		return errRefused
	}
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: sid, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return page(w, "/consent", id, `<button name="answer" value="allow">ok</button>`)
}

// consent takes the answer and gives the code.
func (f *floor) consent(w http.ResponseWriter, r *http.Request) error {
	var request string
	id := hash(r.PostFormValue("id"))
	err := f.db.QueryRow(r.Context(), `SELECT request FROM interactions WHERE id_hash = $1 AND citizen_id IS NOT NULL AND expires_at > now()`, id).Scan(&request)
	if err != nil {
		return err
	}
	q, err := url.ParseQuery(request)
	if err != nil {
		return err
	}
	code := random()
	tag, err := f.db.Exec(r.Context(), `WITH i AS (DELETE FROM interactions WHERE id_hash = $1 RETURNING citizen_id),
	k AS (INSERT INTO consents (citizen_id, client_id, scope) SELECT citizen_id, $4, $5 FROM i ON CONFLICT (citizen_id, client_id) DO UPDATE SET scope = excluded.scope)
	INSERT INTO grants (id, code_hash, client_id, citizen_id, auth_time, scope, nonce, challenge, redirect_uri, code_expires_at, expires_at)
	SELECT $2, $3, $4, i.citizen_id, now(), $5, $6, $7, $8, now() + interval '1 minute', now() + interval '30 days' FROM i`,
		id, random(), hash(code), q.Get("client_id"), q.Get("scope"), q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri"))
	if err != nil {
		return err
	}
	if tag.RowsAffected() != 1 {
		return errRefused
	}
	back(w, r, q, code)
	return nil
}

func back(w http.ResponseWriter, r *http.Request, q url.Values, code string) {
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusSeeOther)
}

func page(w http.ResponseWriter, action, id, fields string) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err := io.WriteString(w, `<!doctype html><title>floor</title><form method="post" action="`+action+
		`"><input type="hidden" name="id" value="`+id+`">`+fields+`</form>`)
	return err
}

// keyed stands for the index of codes and the pepper of PINs.
func keyed(text string) []byte {
	m := hmac.New(sha256.New, []byte("a key of the installation"))
	_, _ = m.Write([]byte(text))
	return m.Sum(nil)
}

const schema = `
CREATE TABLE citizens (id text PRIMARY KEY, code_hmac bytea NOT NULL UNIQUE, pin_hmac bytea NOT NULL, given_name text NOT NULL, family_name text NOT NULL, email text NOT NULL);
CREATE TABLE interactions (id_hash bytea PRIMARY KEY, request text NOT NULL, citizen_id text, expires_at timestamptz NOT NULL);
CREATE TABLE sessions (id_hash bytea PRIMARY KEY, citizen_id text NOT NULL, auth_time timestamptz NOT NULL, seen_at timestamptz NOT NULL, expires_at timestamptz NOT NULL);
CREATE TABLE consents (citizen_id text NOT NULL, client_id text NOT NULL, scope text NOT NULL, PRIMARY KEY (citizen_id, client_id));
CREATE TABLE grants (id text PRIMARY KEY, code_hash bytea NOT NULL UNIQUE, client_id text NOT NULL, citizen_id text NOT NULL, auth_time timestamptz NOT NULL,
	scope text NOT NULL, nonce text NOT NULL, challenge text NOT NULL, redirect_uri text NOT NULL, code_expires_at timestamptz NOT NULL, code_used_at timestamptz,
	refresh_hash bytea, revoked_at timestamptz, expires_at timestamptz NOT NULL);
CREATE INDEX ON interactions (expires_at); CREATE INDEX ON sessions (expires_at); CREATE INDEX ON grants (expires_at);`

// pool is how many connections it may have, as many as the peer.
const pool = 16

func (f *floor) connect(ctx context.Context) error {
	config, err := pgxpool.ParseConfig(f.Database)
	if err != nil {
		return err
	}
	config.MaxConns = pool
	if f.db, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	if _, err := f.db.Exec(ctx, schema); err != nil {
		return err
	}
	for _, p := range f.People {
		if _, err := f.db.Exec(ctx, `INSERT INTO citizens VALUES ($1, $2, $3, $4, $5, $6)`, p.Code, keyed(p.Code), keyed(p.Code+p.PIN), p.Given, p.Family, p.Email); err != nil {
			return err
		}
	}
	return nil
}
