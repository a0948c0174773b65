package clients

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// Metadata is what RFC 7591 and OpenID Connect Registration name, as far as
// this provider keeps its promises; see refused for what it does not know yet.
type Metadata struct {
	RedirectURIs                   []string        `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs         []string        `json:"post_logout_redirect_uris,omitempty"`
	ApplicationType                string          `json:"application_type,omitempty"`
	TokenEndpointAuthMethod        string          `json:"token_endpoint_auth_method,omitempty"`
	TokenEndpointAuthSigningAlg    string          `json:"token_endpoint_auth_signing_alg,omitempty"`
	GrantTypes                     []string        `json:"grant_types,omitempty"`
	ResponseTypes                  []string        `json:"response_types,omitempty"`
	Scope                          Scope           `json:"scope"`
	ClientName                     string          `json:"client_name,omitempty"`
	ClientURI                      string          `json:"client_uri,omitempty"`
	LogoURI                        string          `json:"logo_uri,omitempty"`
	PolicyURI                      string          `json:"policy_uri,omitempty"`
	TosURI                         string          `json:"tos_uri,omitempty"`
	InitiateLoginURI               string          `json:"initiate_login_uri,omitempty"`
	Contacts                       []string        `json:"contacts,omitempty"`
	SoftwareID                     string          `json:"software_id,omitempty"`
	SoftwareVersion                string          `json:"software_version,omitempty"`
	SoftwareStatement              string          `json:"software_statement,omitempty"` // RFC 7591 §2.3, as it came
	JWKS                           json.RawMessage `json:"jwks,omitempty"`
	JWKSURI                        string          `json:"jwks_uri,omitempty"`
	SubjectType                    string          `json:"subject_type,omitempty"`
	SectorIdentifierURI            string          `json:"sector_identifier_uri,omitempty"`
	IDTokenSignedResponseAlg       string          `json:"id_token_signed_response_alg,omitempty"`
	UserinfoSignedResponseAlg      string          `json:"userinfo_signed_response_alg,omitempty"`
	DefaultMaxAge                  *int            `json:"default_max_age,omitempty"` // seconds
	RequireAuthTime                bool            `json:"require_auth_time,omitempty"`
	DefaultACRValues               []string        `json:"default_acr_values,omitempty"`
	AuthorizationSignedResponseAlg string          `json:"authorization_signed_response_alg,omitempty"` // JARM
	BackchannelLogoutURI           string          `json:"backchannel_logout_uri,omitempty"`
	BackchannelSession             bool            `json:"backchannel_logout_session_required,omitempty"`
	FrontchannelLogoutURI          string          `json:"frontchannel_logout_uri,omitempty"`
	FrontchannelSession            bool            `json:"frontchannel_logout_session_required,omitempty"`
	DPoPBound                      bool            `json:"dpop_bound_access_tokens,omitempty"` // RFC 9449
	RequestURIs                    []string        `json:"request_uris,omitempty"`
	RequestObjectSigningAlg        string          `json:"request_object_signing_alg,omitempty"`
	RequireSignedRequestObject     bool            `json:"require_signed_request_object,omitempty"`         // RFC 9101
	RequirePushedRequests          bool            `json:"require_pushed_authorization_requests,omitempty"` // RFC 9126
	IntrospectionSignedResponseAlg string          `json:"introspection_signed_response_alg,omitempty"`     // RFC 9701
	AuthorizationTypes             []string        `json:"authorization_details_types,omitempty"`           // RFC 9396
	Encryptions
	CertificateNames      // RFC 8705
	TLSBound         bool `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	// Purpose is our own member: why the service asks, shown on the consent page.
	Purpose string `json:"purpose,omitempty"`
	// AccessTokenFormat is our own too: whether APIs can read the client's access
	// tokens, or have to introspect them.
	AccessTokenFormat string `json:"access_token_format,omitempty"`
	// Translations stand beside the other members in JSON, see Document.MarshalJSON.
	Translations Translations `json:"-"`
}

// Document is a client as files and answers carry it: RFC 7591 metadata, our
// own members, and what only export, import and show have.
type Document struct {
	Metadata
	Consent       ConsentPolicy `json:"consent,omitempty"`
	Resources     []string      `json:"resources,omitempty"`
	TokenExchange []string      `json:"token_exchange,omitempty"`
	OwnAudiences  []string      `json:"own_audiences,omitempty"`

	AssertionIssuers []AssertionIssuer `json:"assertion_issuers,omitempty"`

	MayIntrospect bool    `json:"may_introspect,omitempty"`
	RequirePKCE   *bool   `json:"require_pkce,omitempty"` // absent: as the profile says
	Profile       Profile `json:"profile,omitempty"`
	Sector        string  `json:"sector,omitempty"`

	ClientID         string           `json:"client_id,omitempty"`
	ClientIDIssuedAt int64            `json:"client_id_issued_at,omitempty"` // Unix seconds
	SecretExpiresAt  *int64           `json:"client_secret_expires_at,omitempty"`
	Disabled         bool             `json:"disabled,omitempty"`
	SecretDigest     string           `json:"client_secret_digest,omitempty"`
	PreviousSecrets  []PreviousSecret `json:"client_secret_previous,omitempty"`
}

// PreviousSecret is a rotated secret that is still accepted.
type PreviousSecret struct {
	Digest string    `json:"digest"`
	EndsAt time.Time `json:"ends_at"`
}

// Scope is a set of scopes, one string with spaces in JSON.
type Scope []string

// ParseScope splits a scope parameter; a scope named twice counts once.
func ParseScope(text string) Scope { return Scope(unique(strings.Fields(text))) }

func (s Scope) String() string { return strings.Join(s, " ") }

// MarshalJSON writes the one string RFC 7591 wants.
func (s Scope) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// UnmarshalJSON reads the one string RFC 7591 wants.
func (s *Scope) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return errors.New("scope is not one string")
	}
	*s = ParseScope(text)
	return nil
}

// Document is the client as `clients show` and the answer to a registration
// have it: every default spelt out, no secret and no digest.
func (c Client) Document() Document {
	pkce := c.RequirePKCE
	d := Document{
		Metadata: c.Metadata, Consent: c.Consent, Resources: c.Resources, MayIntrospect: c.MayIntrospect,
		TokenExchange: c.TokenExchange, OwnAudiences: c.OwnAudiences, RequirePKCE: &pkce, Profile: c.Profile, Sector: c.Sector,
		ClientID: c.ID, ClientIDIssuedAt: c.CreatedAt.Unix(), Disabled: c.Disabled,
	}
	d.AssertionIssuers = canonicalIssuers(c.AssertionIssuers)
	for _, list := range []*[]string{
		&d.RedirectURIs, &d.PostLogoutRedirectURIs, &d.GrantTypes, &d.ResponseTypes, (*[]string)(&d.Scope),
		&d.Contacts, &d.DefaultACRValues, &d.Resources, &d.RequestURIs, &d.TokenExchange, &d.OwnAudiences, &d.AuthorizationTypes,
	} {
		*list = slices.Clone(*list) // a document is made to be changed, the registry's memory is not
	}
	d.Translations = maps.Clone(d.Translations)
	if c.HasSecret() {
		d.SecretExpiresAt = new(int64) // 0: it does not expire by itself
	}
	return d
}

// Registered is the answer to a registration, an update or a rotation.
type Registered struct {
	Client Client
	Secret Secret   // zero unless a new one was made
	Notes  []string // what was taken differently from how it was asked, for the administrator
}

// Encode is the RFC 7591 answer as JSON. A new secret is in it, in the clear:
// it can be had nowhere else and only now.
func (r Registered) Encode() ([]byte, error) {
	answer, err := r.Answer("", "")
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(answer, "", "  ")
}

// Answer is Encode for a client that manages its registration itself: with the
// token that this takes and the address where (RFC 7592 §3).
func (r Registered) Answer(token, uri string) (json.RawMessage, error) {
	d := r.Client.Document()
	d.ClientID = "" // goes before the others
	return joined(struct {
		ClientID string `json:"client_id"`
		Secret   string `json:"client_secret,omitempty"`
		Token    string `json:"registration_access_token,omitempty"`
		URI      string `json:"registration_client_uri,omitempty"`
	}{r.Client.ID, r.Secret.Reveal(), token, uri}, d)
}
