package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/secrets"
)

// prover is a client with a key of its own for DPoP.
type prover struct {
	*service
	key *ecdsa.PrivateKey
}

func (s *service) prover() prover {
	s.t.Helper()
	return prover{s, must[*ecdsa.PrivateKey](s.t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
}

func (d prover) thumbprint() string {
	d.t.Helper()
	key := jose.JSONWebKey{Key: d.key.Public()}
	return base64.RawURLEncoding.EncodeToString(must[[]byte](d.t)(key.Thumbprint(crypto.SHA256)))
}

// proof is a good one for a request, changed by pairs; nil takes a claim away.
func (d prover) proof(method, path string, pairs ...any) string {
	d.t.Helper()
	claims := map[string]any{"jti": uuid.NewString(), "htm": method, "htu": d.issuer + path, "iat": time.Now().Unix()}
	for i := 0; i < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		if delete(claims, name); pairs[i+1] != nil {
			claims[name] = pairs[i+1]
		}
	}
	return d.signed(claims, dpopType)
}

func (d prover) signed(claims map[string]any, typ jose.ContentType) string {
	d.t.Helper()
	options := (&jose.SignerOptions{EmbedJWK: true}).WithType(typ)
	signer := must[jose.Signer](d.t)(jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: d.key}, options))
	jws := must[*jose.JSONWebSignature](d.t)(signer.Sign(must[[]byte](d.t)(json.Marshal(claims))))
	return must[string](d.t)(jws.CompactSerialize())
}

// ask posts to the token endpoint with a proof; an empty one is left out.
func (d prover) ask(proof string, pairs ...string) answer {
	d.t.Helper()
	r := d.tokenRequest(pairs...)
	if proof != "" {
		r.Header.Set(dpopHeader, proof)
	}
	return d.do(r)
}

func (d prover) redeem(code, proof string) answer {
	d.t.Helper()
	return d.ask(proof, "grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier)
}

// info asks userinfo under a scheme, with a proof unless it is empty.
func (d prover) info(scheme, token, proof string) answer {
	d.t.Helper()
	r := d.get(userinfoPath, "")
	r.Header.Set("Authorization", scheme+" "+token)
	if proof != "" {
		r.Header.Set(dpopHeader, proof)
	}
	return d.do(r)
}

// RFC 9449, start to finish: a token that is bound to a key and its use.
func TestDPoP(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		d := h.service(`{"dpop_bound_access_tokens": true}`).prover()
		d.signIn(h.people())
		a := d.redeem(d.code("dpop_jkt", d.thumbprint()), d.proof("POST", tokenPath))
		tokens := a.ok(t)
		if tokens["token_type"] != "DPoP" || a.Header.Get(dpopNonceHeader) == "" {
			t.Errorf("token_type %v, nonce %q", tokens["token_type"], a.Header.Get(dpopNonceHeader))
		}
		access, _ := tokens["access_token"].(string)
		_, claims := payload(t, access)
		if cnf, _ := claims["cnf"].(map[string]any); cnf["jkt"] != d.thumbprint() {
			t.Errorf("cnf = %v, want the key's thumbprint", claims["cnf"])
		}
		ath := tokenHash(access)
		d.info("DPoP", access, d.proof("GET", userinfoPath, "ath", ath)).ok(t)
		d.info("DPoP", access, d.proof("GET", userinfoPath, "ath", ath, "nonce", a.Header.Get(dpopNonceHeader))).ok(t)
		other := d.prover()
		for name, got := range map[string]answer{
			"as a bearer token":       d.info("Bearer", access, ""),
			"no proof":                d.info("DPoP", access, ""),
			"another key":             d.info("DPoP", access, other.proof("GET", userinfoPath, "ath", ath)),
			"no hash of the token":    d.info("DPoP", access, d.proof("GET", userinfoPath)),
			"hash of another token":   d.info("DPoP", access, d.proof("GET", userinfoPath, "ath", tokenHash("x"))),
			"another method":          d.info("DPoP", access, d.proof("POST", userinfoPath, "ath", ath)),
			"a nonce that is not one": d.info("DPoP", access, d.proof("GET", userinfoPath, "ath", ath, "nonce", "x")),
		} {
			if got.StatusCode != http.StatusUnauthorized || !strings.Contains(strings.Join(got.Header.Values("WWW-Authenticate"), " "), "DPoP ") {
				t.Errorf("%s: %d %q, want a 401 that names the scheme", name, got.StatusCode, got.Header.Values("WWW-Authenticate"))
			}
		}
		info := d.do(d.introspectRequest(access)).ok(t)
		if cnf, _ := info["cnf"].(map[string]any); info["token_type"] != "DPoP" || cnf["jkt"] != d.thumbprint() {
			t.Errorf("introspection = %v", info)
		}
	})
}

func (s *service) introspectRequest(token string) *http.Request {
	r := s.post(introspectPath, "token", token)
	r.SetBasicAuth(s.client.ID, s.secret)
	return r
}

// Each rule of RFC 9449 §4.3.
func TestProofsThatAreRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		d := h.service(`{"dpop_bound_access_tokens": true}`).prover()
		at := func(by time.Duration) int64 { return time.Now().Add(by).Unix() }
		good := map[string]any{"jti": "1", "htm": "POST", "htu": issuer + tokenPath, "iat": at(0)}
		used := d.proof("POST", tokenPath)
		machine := []string{"grant_type", credentialsGrant}
		d.ask(used, machine...).ok(t)
		for name, proof := range map[string]string{
			"none":             "",
			"used before":      used,
			"not a token":      "x",
			"another method":   d.proof("GET", tokenPath),
			"another address":  d.proof("POST", userinfoPath),
			"another host":     d.proof("POST", tokenPath, "htu", "http://localhost:8081"+tokenPath),
			"no address":       d.proof("POST", tokenPath, "htu", nil),
			"no id":            d.proof("POST", tokenPath, "jti", nil),
			"an id too long":   d.proof("POST", tokenPath, "jti", strings.Repeat("x", 600)),
			"no time":          d.proof("POST", tokenPath, "iat", nil),
			"two minutes old":  d.proof("POST", tokenPath, "iat", at(-2*time.Minute)),
			"two minutes fast": d.proof("POST", tokenPath, "iat", at(2*time.Minute)),
			"another type":     d.signed(good, "JWT"),
		} {
			wantRefusal(t, name, d.ask(proof, machine...), "Bad Request "+codeInvalidProof)
		}
		wantRefusal(t, "a nonce that is not ours", d.ask(d.proof("POST", tokenPath, "nonce", "x"), machine...), "Bad Request "+codeUseNonce)
		for name, proof := range map[string]string{
			"a query and a fragment": d.proof("POST", tokenPath, "htu", issuer+tokenPath+"?a=b#c"),
			"another case":           d.proof("POST", tokenPath, "htu", "HTTP://LOCALHOST:8080"+tokenPath),
			"half a minute old":      d.proof("POST", tokenPath, "iat", at(-30*time.Second)),
		} {
			if a := d.ask(proof, machine...); a.StatusCode != http.StatusOK {
				t.Errorf("%s: %d %s, want a token", name, a.StatusCode, a.body)
			}
		}
		r := d.tokenRequest(machine...)
		r.Header.Add(dpopHeader, d.proof("POST", tokenPath))
		r.Header.Add(dpopHeader, d.proof("POST", tokenPath))
		wantRefusal(t, "two proofs", d.do(r), "Bad Request "+codeInvalidProof)
	})
}

// The code goes with the key that was named for it, and the refresh tokens of a
// client without a secret with the key that fetched them (RFC 9449 §5, §10).
func TestGrantsAreBoundToKeys(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		id := h.people()
		d := h.service("").prover()
		d.signIn(id)
		other := d.prover()
		wantRefusal(t, "a code with another key", other.redeem(d.code("dpop_jkt", d.thumbprint()), other.proof("POST", tokenPath)), badGrant)
		wantRefusal(t, "a code without a key", d.redeem(d.code("dpop_jkt", d.thumbprint()), ""), badGrant)
		d.redeem(d.code("dpop_jkt", d.thumbprint()), d.proof("POST", tokenPath)).ok(t)
		if got := d.refused("dpop_jkt", "x"); got != codeInvalidRequest {
			t.Errorf("a thumbprint that is none: %q", got)
		}
		// the secret binds these: the key may change
		again, _ := d.redeem(d.code("dpop_jkt", d.thumbprint()), d.proof("POST", tokenPath)).ok(t)["refresh_token"].(string)
		other.ask(other.proof("POST", tokenPath), "grant_type", "refresh_token", "refresh_token", again).ok(t)

		public := h.service(`{"token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"]}`).prover()
		public.signIn(id)
		stranger := public.prover()
		refresh, _ := public.redeem(public.code(), public.proof("POST", tokenPath)).ok(t)["refresh_token"].(string)
		pairs := []string{"grant_type", "refresh_token", "refresh_token", refresh}
		wantRefusal(t, "a stolen refresh token", stranger.ask(stranger.proof("POST", tokenPath), pairs...), badGrant)
		wantRefusal(t, "a refresh token without a key", public.ask("", pairs...), badGrant)
		public.ask(public.proof("POST", tokenPath), pairs...).ok(t)
	})
}

// A pushed request may name its key by a proof (RFC 9449 §10.1).
func TestPushedProof(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		d := h.service("").prover()
		d.signIn(h.people())
		push := func(proof string, pairs ...string) answer {
			v := d.params(pairs...)
			r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+parPath, strings.NewReader(v.Encode())))
			r.Header.Set("Content-Type", formContentType)
			r.Header.Set(dpopHeader, proof)
			r.SetBasicAuth(d.client.ID, d.secret)
			return d.do(r)
		}
		wantRefusal(t, "two keys", push(d.proof("POST", parPath), "dpop_jkt", d.prover().thumbprint()), "Bad Request "+codeInvalidProof)
		wantRefusal(t, "a proof for another endpoint", push(d.proof("POST", tokenPath)), "Bad Request "+codeInvalidProof)
		code := d.reply(d.bring(d.pushedURI(push(d.proof("POST", parPath))))).Get("code")
		wantRefusal(t, "the code without its key", d.redeem(code, ""), badGrant)
	})
}

// One proof, many requests at once, two nodes: one is served.
func TestOneProofIsUsedOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		d := h.service("").prover()
		proof := d.proof("POST", tokenPath)
		const tries = 16
		start, results := make(chan struct{}), make(chan int, tries)
		var all sync.WaitGroup
		for range tries {
			r := d.tokenRequest("grant_type", credentialsGrant)
			r.Header.Set(dpopHeader, proof)
			all.Go(func() {
				<-start
				res, err := d.browser.Do(r)
				if err != nil {
					results <- 0
					return
				}
				_ = res.Body.Close()
				results <- res.StatusCode
			})
		}
		close(start)
		all.Wait()
		close(results)
		served := 0
		for status := range results {
			switch status {
			case http.StatusOK:
				served++
			case http.StatusBadRequest:
			default:
				t.Errorf("status %d", status)
			}
		}
		if served != 1 {
			t.Errorf("%d of %d were served, want one", served, tries)
		}
	})
}

// A nonce is good for five minutes, on every node, and made by nobody else.
func TestNonce(t *testing.T) {
	t.Parallel()
	p := &Provider{refreshKey: newSecrets(t).PRF("refresh")}
	now := time.Now()
	nonce := p.nonce(now)
	for name, row := range map[string]struct {
		nonce string
		at    time.Time
		want  bool
	}{
		"at once":             {nonce, now, true},
		"four minutes later":  {nonce, now.Add(4 * time.Minute), true},
		"six minutes later":   {nonce, now.Add(6 * time.Minute), false},
		"from the future":     {p.nonce(now.Add(time.Hour)), now, false},
		"changed":             {"B" + nonce[1:], now, false},
		"of another":          {(&Provider{refreshKey: newSecrets(t).PRF("refresh")}).nonce(now), now, false},
		"nothing of the kind": {"x", now, false},
	} {
		if got := p.ourNonce(row.nonce, row.at); got != row.want {
			t.Errorf("%s: %t, want %t", name, got, row.want)
		}
	}
}

// FuzzProof: whatever comes as a proof is refused as one, or is one; and so is
// whatever is really signed.
func FuzzProof(f *testing.F) {
	key := must[*ecdsa.PrivateKey](f)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p := &Provider{issuer: issuer, refreshKey: newSecrets(f).PRF(secrets.Refresh)}
	now := time.Now()
	good := fmt.Sprintf(`{"jti":"1","htm":"POST","htu":"%s/token","iat":%d}`, issuer, now.Unix())
	f.Add("eyJhbGciOiJFUzI1NiJ9.e30.AA", good, "dpop+jwt")
	f.Add("a.b.c", `{"jti":"1","htm":"POST","htu":"HTTP://LOCALHOST:8080/token?x#y","iat":1e400,"nonce":"AAAA"}`, "DPOP+JWT")
	f.Add("", `{"iat":-1,"iat":253402300800,"jti":7,"htu":"http://a:b@localhost:8080/%74oken","ath":null}`, "JWT")
	f.Fuzz(func(t *testing.T, text, claims, typ string) {
		if _, _, err := openProof(text, proofAlgorithms()); err != nil && asProtocolError(err).Code != codeInvalidProof {
			t.Errorf("openProof(%q) = %v", text, err)
		}
		options := (&jose.SignerOptions{EmbedJWK: true}).WithType(jose.ContentType(typ))
		signer := must[jose.Signer](t)(jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options))
		jws, err := signer.Sign([]byte(claims))
		if err != nil {
			return
		}
		proof, _, err := openProof(must[string](t)(jws.CompactSerialize()), proofAlgorithms())
		if err != nil {
			if typ == dpopType && claims == good || asProtocolError(err).Code != codeInvalidProof {
				t.Errorf("openProof of %s %q = %v", typ, claims, err)
			}
			return
		}
		if typ != dpopType {
			t.Errorf("a %q passes for a proof", typ)
		}
		if err := p.checkProof(proof, http.MethodPost, tokenPath, "", now); err != nil {
			if code := asProtocolError(err).Code; code != codeInvalidProof && code != codeUseNonce {
				t.Errorf("checkProof(%s) = %v", claims, err)
			}
			return
		}
		if u, err := url.Parse(proof.URI); err != nil || u.User != nil || !strings.EqualFold(u.Host, "localhost:8080") || u.EscapedPath() != tokenPath {
			t.Errorf("htu %q passes for the token endpoint", proof.URI)
		}
	})
}
