// Floor does only what no OpenID provider can avoid: the same signatures, the
// same reads, the same conditional writes, each in as few statements as there
// can be. No audit, no throttle, no error page, hardly a check. It is there to
// be measured against, and for nothing else.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// settings are what the bench writes for it.
type settings struct {
	Issuer   string `json:"issuer"`
	Listen   string `json:"listen"`
	Database string `json:"database"`
	Clients  []struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
		Alg    string `json:"id_token_signed_response_alg"`
	} `json:"clients"`
	People []struct {
		Code   string `json:"fiscal_code"`
		Given  string `json:"given_name"`
		Family string `json:"family_name"`
		Email  string `json:"email"`
		PIN    string `json:"pin"`
	} `json:"people"`
}

// floor is the program.
type floor struct {
	settings
	db              *pgxpool.Pool
	key             *ecdsa.PrivateKey
	rsa             *rsa.PrivateKey
	secrets         map[string][32]byte // by client
	rs256           map[string]bool     // by client: RSA signs its ID tokens
	discovery, jwks []byte
}

func main() {
	if err := run(context.Background(), os.Args[1]); err != nil {
		_, _ = os.Stderr.WriteString("floor: " + err.Error() + "\n")
		os.Exit(1)
	}
}

func run(ctx context.Context, file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	f := &floor{secrets: map[string][32]byte{}, rs256: map[string]bool{}}
	if err := json.Unmarshal(b, &f.settings); err != nil {
		return err
	}
	for _, c := range f.Clients {
		f.secrets[c.ID], f.rs256[c.ID] = sha256.Sum256([]byte(c.Secret)), c.Alg == "RS256"
	}
	if f.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	if f.rsa, err = rsa.GenerateKey(rand.Reader, 3072); err != nil {
		return err
	}
	if err := errors.Join(f.documents(), f.connect(ctx)); err != nil {
		return err
	}
	server := &http.Server{Addr: f.Listen, Handler: f.routes(), ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe()
}

func (f *floor) routes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) { document(w, f.discovery) })
	m.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) { document(w, f.jwks) })
	m.HandleFunc("GET /authorize", answered(f.authorize))
	m.HandleFunc("POST /login", answered(f.login))
	m.HandleFunc("POST /consent", answered(f.consent))
	m.HandleFunc("POST /token", answered(f.token))
	m.HandleFunc("POST /introspect", answered(f.introspect))
	m.HandleFunc("GET /userinfo", answered(f.userinfo))
	return m
}

var errRefused = errors.New("refused")

// answered turns an error into a status; why does not matter here.
func answered(do func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := do(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}
}

func document(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b)
}

func (f *floor) documents() (err error) {
	at := func(path string) string { return f.Issuer + path }
	if f.discovery, err = json.Marshal(map[string]any{
		"issuer": f.Issuer, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"), "userinfo_endpoint": at("/userinfo"),
		"introspection_endpoint": at("/introspect"), "jwks_uri": at("/jwks"), "response_types_supported": []string{"code"},
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256", "RS256"},
	}); err != nil {
		return err
	}
	f.jwks, err = json.Marshal(map[string]any{"keys": f.publicKeys()})
	return err
}

// client authenticates a service with client_secret_basic.
func (f *floor) client(r *http.Request) (string, error) {
	id, secret, ok := r.BasicAuth()
	if !ok {
		return "", errRefused
	}
	if id, _ = url.QueryUnescape(id); id == "" {
		return "", errRefused
	}
	secret, _ = url.QueryUnescape(secret)
	want, given := f.secrets[id], sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(want[:], given[:]) != 1 {
		return "", errRefused
	}
	return id, nil
}
