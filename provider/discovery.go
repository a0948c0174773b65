package provider

import (
	"slices"
	"time"

	"ente.example/idp/clients"
	"ente.example/idp/consent"
	"ente.example/idp/provider/keys"
	"github.com/labstack/echo/v4"
)

// The paths of the endpoints about tokens, keys and sign-out.
const (
	jwksPath       = "/jwks"
	userinfoPath   = "/userinfo"
	introspectPath = "/introspect"
	revokePath     = "/revoke"

	openIDPath = "/.well-known/openid-configuration"
	oauthPath  = "/.well-known/oauth-authorization-server"
)

// discoveryAge is how long clients may keep the discovery documents. They
// change only with a release or a new configuration.
const discoveryAge = 15 * time.Minute

// metadata is what OpenID Connect Discovery, RFC 8414 and RP-Initiated Logout
// publish. It says what this program does.
type metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	UserinfoEndpoint      string   `json:"userinfo_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	EndSessionEndpoint    string   `json:"end_session_endpoint"`
	CheckSessionFrame     string   `json:"check_session_iframe"`
	BackchannelLogout     bool     `json:"backchannel_logout_supported"`
	BackchannelSession    bool     `json:"backchannel_logout_session_supported"`
	FrontchannelLogout    bool     `json:"frontchannel_logout_supported"`
	FrontchannelSession   bool     `json:"frontchannel_logout_session_supported"`
	RegistrationEndpoint  string   `json:"registration_endpoint,omitempty"`
	PAREndpoint           string   `json:"pushed_authorization_request_endpoint"`
	DeviceEndpoint        string   `json:"device_authorization_endpoint"`
	Scopes                []string `json:"scopes_supported"`
	AuthorizationTypes    []string `json:"authorization_details_types_supported,omitempty"`
	Claims                []string `json:"claims_supported"`
	ClaimTypes            []string `json:"claim_types_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	ACRValues             []string `json:"acr_values_supported"`
	PromptValues          []string `json:"prompt_values_supported"`
	UILocales             []string `json:"ui_locales_supported"`
	PKCEMethods           []string `json:"code_challenge_methods_supported"`
	IDTokenAlgs           []string `json:"id_token_signing_alg_values_supported"`
	UserinfoAlgs          []string `json:"userinfo_signing_alg_values_supported"`
	TokenAuth             []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgs         []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlgs []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	RevocationAuth        []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgs    []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	ClaimsParameter       bool     `json:"claims_parameter_supported"`
	RequestParameter      bool     `json:"request_parameter_supported"`
	RequestURIParameter   bool     `json:"request_uri_parameter_supported"`
	RequestURIRegistered  bool     `json:"require_request_uri_registration"`
	RequestObjectAlgs     []string `json:"request_object_signing_alg_values_supported"`
	RequestObjectEncAlgs  []string `json:"request_object_encryption_alg_values_supported"`
	RequestObjectEncs     []string `json:"request_object_encryption_enc_values_supported"`
	AnswerAlgs            []string `json:"authorization_signing_alg_values_supported"`
	ProofAlgs             []string `json:"dpop_signing_alg_values_supported"`
	IssParameter          bool     `json:"authorization_response_iss_parameter_supported"`
	CertificateBound      bool     `json:"tls_client_certificate_bound_access_tokens"`

	AccessTokenFormats   []string `json:"access_token_formats_supported"` // our own
	IntrospectionAlgs    []string `json:"introspection_signing_alg_values_supported"`
	IDTokenEncAlgs       []string `json:"id_token_encryption_alg_values_supported"`
	IDTokenEncs          []string `json:"id_token_encryption_enc_values_supported"`
	UserinfoEncAlgs      []string `json:"userinfo_encryption_alg_values_supported"`
	UserinfoEncs         []string `json:"userinfo_encryption_enc_values_supported"`
	AnswerEncAlgs        []string `json:"authorization_encryption_alg_values_supported"`
	AnswerEncs           []string `json:"authorization_encryption_enc_values_supported"`
	IntrospectionEncAlgs []string `json:"introspection_encryption_alg_values_supported"`
	IntrospectionEncs    []string `json:"introspection_encryption_enc_values_supported"`

	Aliases *mtlsAliases `json:"mtls_endpoint_aliases,omitempty"`
}

func (p *Provider) metadata() metadata {
	register := ""
	if p.registration != RegistrationOff && p.registration != "" {
		register = p.issuer + registerPath
	}
	confidential := append([]string{clients.AuthBasic, clients.AuthPost, clients.AuthPrivateKeyJWT}, p.mtls.methods()...)
	all := append(slices.Clone(confidential), clients.AuthNone)
	return metadata{
		Issuer:                p.issuer,
		AuthorizationEndpoint: p.issuer + authorizePath,
		TokenEndpoint:         p.issuer + tokenPath,
		UserinfoEndpoint:      p.issuer + userinfoPath,
		JWKSURI:               p.issuer + jwksPath,
		IntrospectionEndpoint: p.issuer + introspectPath,
		RevocationEndpoint:    p.issuer + revokePath,
		EndSessionEndpoint:    p.issuer + EndSessionPath,
		CheckSessionFrame:     p.issuer + checkSessionPath,
		RegistrationEndpoint:  register,
		PAREndpoint:           p.issuer + parPath,
		DeviceEndpoint:        p.issuer + deviceAuthorizationPath,
		Scopes:                p.scopes,
		AuthorizationTypes:    p.authorizations.Names(),
		Claims:                p.claimNames(),
		ClaimTypes:            []string{"normal"},
		ResponseTypes:         clients.ResponseTypes(),
		ResponseModes:         responseModes(),
		GrantTypes:            clients.GrantTypes(),
		SubjectTypes:          []string{clients.SubjectPairwise, clients.SubjectPublic},
		ACRValues:             p.levels,
		PromptValues:          []string{"none", "login", "consent", "select_account", "create"},
		UILocales:             []string{"it", "en"},
		PKCEMethods:           []string{"S256"},
		IDTokenAlgs:           keys.Algorithms(),
		UserinfoAlgs:          keys.Algorithms(),
		TokenAuth:             all,
		TokenAuthAlgs:         keys.Algorithms(),
		IntrospectionAuth:     confidential,
		IntrospectionAuthAlgs: keys.Algorithms(),
		RevocationAuth:        all,
		RevocationAuthAlgs:    keys.Algorithms(),
		BackchannelLogout:     true,
		BackchannelSession:    true,
		FrontchannelLogout:    true,
		FrontchannelSession:   true,
		ClaimsParameter:       true,
		RequestParameter:      true,
		RequestURIParameter:   true,
		RequestURIRegistered:  true,
		RequestObjectAlgs:     keys.Algorithms(),
		RequestObjectEncAlgs:  clients.KeyEncryptions(),
		RequestObjectEncs:     clients.ContentEncryptions(),
		AnswerAlgs:            keys.Algorithms(),
		ProofAlgs:             algorithmNames(proofAlgorithms()),
		IssParameter:          true,
		CertificateBound:      p.mtls.enabled(),
		AccessTokenFormats:    clients.TokenFormats(),
		IntrospectionAlgs:     keys.Algorithms(),
		IDTokenEncAlgs:        clients.KeyEncryptions(),
		IDTokenEncs:           clients.ContentEncryptions(),
		UserinfoEncAlgs:       clients.KeyEncryptions(),
		UserinfoEncs:          clients.ContentEncryptions(),
		AnswerEncAlgs:         clients.KeyEncryptions(),
		AnswerEncs:            clients.ContentEncryptions(),
		IntrospectionEncAlgs:  clients.KeyEncryptions(),
		IntrospectionEncs:     clients.ContentEncryptions(),
		Aliases:               p.mtls.aliases(),
	}
}

// claimNames are the claims about the sign-in, and those about the citizen
// under the scopes there are.
func (p *Provider) claimNames() []string {
	names := []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "amr", "nonce", "sid", "at_hash", "c_hash"}
	for _, name := range consent.ClaimsOf(p.scopes) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// serveDiscovery answers both documents: RFC 8414 was made to be a superset.
func (p *Provider) serveDiscovery(c echo.Context) error {
	return p.discovery.serve(c)
}
