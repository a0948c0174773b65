package provider

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"ente.example/idp/clients"
)

const (
	deviceAuthorizationPath = "/device_authorization"
	devicePath              = "/device"
	// deviceParam names the device's request among the parameters that an
	// interaction keeps. No service can send it: only known names are kept.
	deviceParam = "device"
)

// deviceAnswer is RFC 8628 §3.2.
type deviceAnswer struct {
	DeviceCode      string `json:"device_code"`
	UserCode        string `json:"user_code"`
	VerificationURI string `json:"verification_uri"`
	Complete        string `json:"verification_uri_complete"`
	ExpiresIn       int64  `json:"expires_in"`
	Interval        int    `json:"interval"`
}

// deviceAuthorization is the device authorization endpoint (RFC 8628 §3.1): a
// device that has no browser begins a sign-in that is gone through elsewhere.
func (p *Provider) deviceAuthorization(c echo.Context) error {
	answer, err := p.keepDevice(c)
	if err != nil {
		return p.fail(c, err)
	}
	noStore(c.Response().Header())
	return c.JSON(http.StatusOK, answer)
}

func (p *Provider) keepDevice(c echo.Context) (deviceAnswer, error) {
	f, err := parseForm(c)
	if err != nil {
		return deviceAnswer{}, err
	}
	client, err := p.authenticateClient(c, f)
	if err != nil {
		return deviceAnswer{}, err
	}
	if err := p.bindBackChannel(c, f, client, deviceAuthorizationPath); err != nil {
		return deviceAnswer{}, err
	}
	f.values.Set("client_id", client.ID)
	r := &authRequest{form: f, client: client}
	if err := p.checkDevice(r); err != nil {
		return deviceAnswer{}, err
	}
	code, user := randomText(), newUserCode()
	hashes, err := p.userHashes(user)
	if err != nil {
		return deviceAnswer{}, err
	}
	err = p.devices.insert(c.Request().Context(), deviceRow{
		DeviceHash: deviceHash(code), UserHash: hashes[0], ClientID: client.ID, Params: r.keptDevice(), PollInterval: p.devices.policy.interval(),
	})
	if err != nil {
		return deviceAnswer{}, err
	}
	page, policy := p.issuer+devicePath, p.devices.policy
	return deviceAnswer{code, user.reveal(), page, page + "?user_code=" + user.reveal(), seconds(policy.Life), policy.interval()}, nil
}

// deviceHash is what the database keeps of a device code. It is another digest
// than that of an authorization code: neither passes for the other.
func deviceHash(code string) []byte {
	sum := sha256.Sum256([]byte("device\x00" + code))
	return sum[:]
}

// keptDevice is what of a device's request counts. A login_hint does not: it is
// often a codice fiscale, and these parameters are kept in the clear.
func (r *authRequest) keptDevice() string {
	return r.form.Encode("client_id", "scope", "nonce", "resource", "max_age", "acr_values", "ui_locales", "dpop_jkt", detailsParam)
}

// checkDevice is check for the request of a device: it names no address and no
// way to answer, and there is no code in a browser that PKCE would protect.
func (p *Provider) checkDevice(r *authRequest) error {
	r.types, r.unit = []string{typeCode}, &unit{client: r.client}
	for _, step := range []func() error{
		r.checkDeviceUse, r.checkSize, func() error { return p.checkScopes(r) },
		r.checkKey, r.checkNonce, r.checkResources, func() error { return p.checkDetails(r) }, r.checkMaxAge,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// checkDeviceUse refuses by name what a device could not be held to, or what
// would be ignored to the service's cost.
func (r *authRequest) checkDeviceUse() error {
	if !r.client.AllowsGrant(clients.GrantDeviceCode) {
		return badRequest(codeUnauthorizedClient, "the client is not registered for this grant type")
	}
	if r.client.RequireSignedRequestObject {
		return badRequest(codeInvalidRequest, "the client has to sign its requests, which a device cannot")
	}
	for _, name := range []string{"request", "request_uri", "claims", "id_token_hint", "prompt"} {
		if r.form.Get(name) != "" {
			return badRequest(codeInvalidRequest, "a parameter is not supported for devices")
		}
	}
	return nil
}

// retrieve reads a kept request: that of a service, or of a device.
func (p *Provider) retrieve(ctx context.Context, f form) (*authRequest, error) {
	if f.Get(deviceParam) == "" {
		return p.trust(ctx, f)
	}
	hash, err := base64.RawURLEncoding.DecodeString(f.Get(deviceParam))
	if err != nil {
		return nil, untrusted(err)
	}
	client, err := p.clients.Get(ctx, f.Get("client_id"))
	if errors.Is(err, clients.ErrUnknown) || errors.Is(err, clients.ErrDisabled) {
		return nil, untrusted(nil)
	}
	if err != nil {
		return nil, err
	}
	return &authRequest{form: f, client: client, device: hash}, nil
}
