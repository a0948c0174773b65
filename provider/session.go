package provider

import (
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/token/jwt"

	"ente.example/idp/provider/keys"
)

// session is what fosite carries about a citizen from handler to handler. It
// holds inputs only: what is issued is built from the grant, so that nothing of
// one token leaks into the next. Deadlines are the database's business, so
// fosite's expiries stay empty.
type session struct {
	subject string
	alg     string
	claims  *jwt.IDTokenClaims
	headers *jwt.Headers
}

// newSession is the session of a subject whose client wants ID tokens in alg.
func newSession(subject, alg string) *session {
	if alg == keys.EdDSA {
		// fosite reads the hash of at_hash off the name's end, and would take
		// SHA-256 for EdDSA; Ed25519 goes with SHA-512. The name stays inside.
		alg = "Ed512"
	}
	return &session{subject: subject, alg: alg}
}

func (s *session) SetExpiresAt(fosite.TokenType, time.Time)        {}
func (s *session) GetExpiresAt(fosite.TokenType) (never time.Time) { return never }
func (s *session) GetUsername() string                             { return "" }
func (s *session) GetSubject() string                              { return s.subject }

// Clone starts afresh: only what the session was made from is carried over.
func (s *session) Clone() fosite.Session {
	return &session{subject: s.subject, alg: s.alg}
}

// IDTokenClaims is where fosite's handlers leave at_hash, and look whether there
// is a subject at all.
func (s *session) IDTokenClaims() *jwt.IDTokenClaims {
	if s.claims == nil {
		s.claims = &jwt.IDTokenClaims{Subject: s.subject}
	}
	return s.claims
}

// IDTokenHeaders tells fosite which hash goes with the signature.
func (s *session) IDTokenHeaders() *jwt.Headers {
	if s.headers == nil {
		s.headers = &jwt.Headers{Extra: map[string]any{"alg": s.alg}}
	}
	return s.headers
}
