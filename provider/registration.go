package provider

import (
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"ente.example/idp/audit"
	"ente.example/idp/clients"
	"ente.example/idp/login"
)

// Dynamic client registration (RFC 7591, OpenID Connect Dynamic Client
// Registration 1.0) and the management of what was registered (RFC 7592).

const registerPath = "/register"

// Registration says who may register clients without an administrator.
type Registration string

// The ways.
const (
	RegistrationOff   Registration = "off"
	RegistrationToken Registration = "token" // with an initial access token, which carries the profile
	RegistrationOpen  Registration = "open"  // whoever comes, under one profile
	// RegistrationStatement is software that a trusted publisher vouches for, or a token.
	RegistrationStatement Registration = "statement"
)

func (p *Provider) mountRegistration(e *echo.Echo) {
	if p.registration == RegistrationOff || p.registration == "" {
		return
	}
	e.POST(registerPath, p.register)
	e.GET(registerPath+"/:id", p.showRegistration)
	e.PUT(registerPath+"/:id", p.changeRegistration)
	e.DELETE(registerPath+"/:id", p.endRegistration)
}

// register adds a client that asks for it.
func (p *Provider) register(c echo.Context) error {
	token, err := registrationToken(c)
	if err == nil && token == "" && p.registration == RegistrationToken {
		err = clients.ErrRegistrationToken
	}
	if err != nil {
		return p.failRegistration(c, err)
	}
	d, err := readDocument(c)
	if err != nil {
		return p.failRegistration(c, err)
	}
	r, own, err := p.clients.RegisterOwn(c.Request().Context(), registrant(c, ""), clients.OwnRegistration{
		Document: d, Token: token, Profile: p.registrationProfile, StatementNeeded: p.registration == RegistrationStatement,
	})
	if err != nil {
		return p.failRegistration(c, err)
	}
	return p.registered(c, http.StatusCreated, r, own.Reveal())
}

// showRegistration is RFC 7592 §2.1. A secret is not in it: it was shown once.
func (p *Provider) showRegistration(c echo.Context) error {
	return p.own(c, func(client clients.Client, token string) error {
		return p.registered(c, http.StatusOK, clients.Registered{Client: client}, token)
	})
}

// changeRegistration is RFC 7592 §2.2: the document replaces what there was.
func (p *Provider) changeRegistration(c echo.Context) error {
	return p.own(c, func(client clients.Client, token string) error {
		d, err := readDocument(c)
		if err == nil && d.ClientID != client.ID {
			err = &clients.ValidationError{Field: "client_id", Reason: "is missing, or not that of this registration"}
		}
		if err != nil {
			return err
		}
		r, err := p.clients.UpdateOwn(c.Request().Context(), registrant(c, client.ID), client, d)
		if err != nil {
			return err
		}
		return p.registered(c, http.StatusOK, r, token)
	})
}

// endRegistration is RFC 7592 §2.3.
func (p *Provider) endRegistration(c echo.Context) error {
	return p.own(c, func(client clients.Client, _ string) error {
		if err := p.clients.Deregister(c.Request().Context(), registrant(c, client.ID), client.ID); err != nil {
			return err
		}
		noStore(c.Response().Header())
		return c.NoContent(http.StatusNoContent)
	})
}

// own finds the client whose registration the token changes.
func (p *Provider) own(c echo.Context, then func(client clients.Client, token string) error) error {
	token, err := registrationToken(c)
	if err != nil {
		return p.failRegistration(c, err)
	}
	client, err := p.clients.Own(c.Request().Context(), c.Param("id"), token)
	if err == nil {
		err = then(client, token)
	}
	if err != nil {
		return p.failRegistration(c, err)
	}
	return nil
}

// registered is RFC 7591 §3.2.1 and RFC 7592 §3.
func (p *Provider) registered(c echo.Context, status int, r clients.Registered, token string) error {
	noStore(c.Response().Header())
	answer, err := r.Answer(token, p.issuer+registerPath+"/"+r.Client.ID)
	if err != nil {
		return err
	}
	return c.JSON(status, answer)
}

// registrationToken is a bearer token of the Authorization header; none is
// empty.
func registrationToken(c echo.Context) (string, error) {
	headers := c.Request().Header.Values(echo.HeaderAuthorization)
	if len(headers) == 0 {
		return "", nil
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.TrimSpace(token)
	if len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", clients.ErrRegistrationToken
	}
	return token, nil
}

func readDocument(c echo.Context) (clients.Document, error) {
	kind, _, err := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	if err != nil || kind != echo.MIMEApplicationJSON {
		return clients.Document{}, oauthError(codeInvalidRequest, "the body must be "+echo.MIMEApplicationJSON, http.StatusUnsupportedMediaType)
	}
	return clients.DecodeOwn(c.Request().Body)
}

// registrant is whoever registers or changes a client.
func registrant(c echo.Context, id string) audit.Actor {
	if id == "" {
		return audit.Actor{Kind: audit.Anonymous, Request: login.Actor(c, nil).Request}
	}
	return clientActor(c, id)
}

// failRegistration answers with RFC 7591 §3.2.2, or asks for a token.
func (p *Provider) failRegistration(c echo.Context, err error) error {
	wrong, ok := errors.AsType[*clients.ValidationError](err)
	switch {
	case ok:
		e := badRequest(wrong.Code(), wrong.Error())
		e.cause = err
		return p.fail(c, e)
	case errors.Is(err, clients.ErrRegistrationToken):
		noStore(c.Response().Header())
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Bearer realm=`+strconv.Quote(p.issuer)+`, error="`+codeInvalidToken+`"`)
		return c.JSON(http.StatusUnauthorized, map[string]string{"error": codeInvalidToken, "error_description": "a registration token that is good is needed"})
	}
	return p.fail(c, err)
}
