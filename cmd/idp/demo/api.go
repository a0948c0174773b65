package demo

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// claims are what the API looks at in an access token (RFC 9068).
type claims struct {
	Issuer   string   `json:"iss"`
	Audience audience `json:"aud"`
	Expiry   int64    `json:"exp"`
	Subject  string   `json:"sub"`
	Client   string   `json:"client_id"`
	Scope    string   `json:"scope"`
}

// audience is one text or several (RFC 7519 4.1.3).
type audience []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

type claimsKey struct{}

// protect admits requests with an access token for this API. It checks the
// token by itself, with the provider's public keys (RFC 9068 §4): type,
// signature, issuer, audience, expiry.
func (s *Service) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "an access token is needed", http.StatusUnauthorized)
			return
		}
		c, err := s.check(r.Context(), raw)
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			http.Error(w, "the access token is not for us", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), claimsKey{}, c)))
	})
}

func (s *Service) check(ctx context.Context, raw string) (claims, error) {
	var c claims
	signed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return c, err
	}
	if typ, _ := signed.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string); typ != "at+jwt" {
		return c, errors.New("not an access token")
	}
	p, err := s.discover(ctx)
	if err != nil {
		return c, err
	}
	var meta struct {
		JWKS string `json:"jwks_uri"`
	}
	if err := p.Claims(&meta); err != nil {
		return c, err
	}
	payload, err := s.keySet(ctx, meta.JWKS).VerifySignature(ctx, raw)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return c, err
	}
	if c.Issuer != s.Issuer || !slices.Contains(c.Audience, s.Address+"/api") || time.Now().Unix() >= c.Expiry {
		return c, errors.New("another issuer, another audience, or too late")
	}
	return c, nil
}

// keySet remembers the provider's keys and fetches them again for a kid that
// is new.
func (s *Service) keySet(ctx context.Context, address string) oidc.KeySet {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		s.keys = oidc.NewRemoteKeySet(context.WithoutCancel(ctx), address)
	}
	return s.keys
}

// pensions is the protected resource.
func pensions(w http.ResponseWriter, r *http.Request) {
	c, _ := r.Context().Value(claimsKey{}).(claims)
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(map[string]any{
		"titolare": c.Subject, "servizio": c.Client, "scope": c.Scope,
		"contributi": []map[string]any{{"anno": 2024, "settimane": 52}, {"anno": 2025, "settimane": 48}},
	})
}

func readAnswer(a *http.Response) *apiAnswer {
	b, _ := io.ReadAll(io.LimitReader(a.Body, 1<<16))
	_ = a.Body.Close()
	return &apiAnswer{a.StatusCode, string(b)}
}
