package provider

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"ente.example/idp/database"
	"ente.example/idp/web"
)

// The error codes of OAuth 2.0, OpenID Connect and RFC 8707 that this package
// answers with.
const (
	codeInvalidRequest          = "invalid_request"
	codeInvalidClient           = "invalid_client"
	codeInvalidGrant            = "invalid_grant"
	codeInvalidScope            = "invalid_scope"
	codeInvalidTarget           = "invalid_target"
	codeInvalidDetails          = "invalid_authorization_details" // RFC 9396 §5
	codeUnauthorizedClient      = "unauthorized_client"
	codeUnsupportedGrantType    = "unsupported_grant_type"
	codeUnsupportedResponseType = "unsupported_response_type"
	codeAccessDenied            = "access_denied"
	codePending                 = "authorization_pending" // this and the next two: RFC 8628 §3.5
	codeSlowDown                = "slow_down"
	codeExpiredToken            = "expired_token"
	codeServerError             = "server_error"
	codeUnavailable             = "temporarily_unavailable"
	codeLoginRequired           = "login_required"
	codeConsentRequired         = "consent_required"
	codeUnmetACR                = "unmet_authentication_requirements"
	codeInteractionRequired     = "interaction_required"
	codeInvalidRequestObject    = "invalid_request_object"
	codeInvalidRequestURI       = "invalid_request_uri"
	codeRegistrationUnsupported = "registration_not_supported"
)

// protocolError is a refusal that a client is told about, in the words of the
// RFC it comes from. Its description is for developers: it is in English and
// never repeats what was sent.
type protocolError struct {
	Code        string
	Description string
	Status      int
	cause       error
}

func (e *protocolError) Error() string { return e.Code + ": " + e.Description }

func (e *protocolError) Unwrap() error { return e.cause }

// oauthError is a refusal as a client sees it.
func oauthError(code, description string, status int) *protocolError {
	return &protocolError{Code: code, Description: description, Status: status}
}

// badRequest is a refusal with the status that nearly all of them have.
func badRequest(code, description string) *protocolError {
	return oauthError(code, description, http.StatusBadRequest)
}

func invalidGrant(description string) *protocolError {
	return badRequest(codeInvalidGrant, description)
}

// invalidClient says no more than that authentication failed: whether the
// client exists is none of the caller's business.
func invalidClient() *protocolError {
	return oauthError(codeInvalidClient, "client authentication failed", http.StatusUnauthorized)
}

// asProtocolError turns any error into what a client may see of it. What is
// our own fault shows as server_error, a database that is away as 503.
func asProtocolError(err error) *protocolError {
	if known, ok := errors.AsType[*protocolError](err); ok {
		return known
	}
	e := oauthError(codeServerError, "the request could not be completed", http.StatusInternalServerError)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		e = oauthError(codeInvalidRequest, "the request body is too large", http.StatusRequestEntityTooLarge)
	} else if database.IsUnavailable(err) {
		e = oauthError(codeUnavailable, "try again in a moment", http.StatusServiceUnavailable)
	}
	e.cause = err
	return e
}

// fail answers a client of a JSON endpoint with an error, and logs the ones
// that are ours.
func (p *Provider) fail(c echo.Context, err error) error {
	e := asProtocolError(err)
	if e.Status >= http.StatusInternalServerError {
		p.logger.LogAttrs(c.Request().Context(), slog.LevelError, "protocol endpoint failed",
			slog.String("route", c.Path()), slog.String("request_id", web.RequestID(c)), slog.Any("error", err))
	}
	h := c.Response().Header()
	noStore(h)
	switch e.Status {
	case http.StatusUnauthorized:
		// RFC 6749 §5.2 wants the scheme the client used; Basic is the one
		// every client may fall back to.
		h.Set(echo.HeaderWWWAuthenticate, `Basic realm=`+strconv.Quote(p.issuer))
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	}
	return c.JSON(e.Status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{e.Code, e.Description})
}

// noStore keeps an answer out of every cache.
func noStore(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
}
