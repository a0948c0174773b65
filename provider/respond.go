package provider

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/login"
	"ente.example/idp/provider/keys"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// send answers the service through the browser, with its state where it sent
// one, and always with who answers (RFC 9207). browser is what the frame at
// check_session_iframe will see in this browser.
func (p *Provider) send(c echo.Context, r *authRequest, answer map[string]string, browser string) error {
	answer["iss"] = p.issuer
	if state := sessionState(r, browser); state != "" {
		answer["session_state"] = state
	}
	if r.state != "" {
		answer["state"] = r.state
	}
	if r.signed {
		signed, err := p.signAnswer(c.Request().Context(), r, answer)
		if _, theirs := errors.AsType[*protocolError](err); theirs {
			return untrusted(err) // there is no way to tell the service
		}
		if err != nil {
			return err
		}
		answer = map[string]string{"response": signed}
	}
	noStore(c.Response().Header())
	if r.mode == modeFormPost {
		return formPost(c, r, answer)
	}
	return c.Redirect(http.StatusSeeOther, redirectURL(r, answer))
}

// answerLife is how long a signed answer is good for: as long as it takes to
// arrive (JARM §2.1 recommends ten minutes at most).
const answerLife = 5 * time.Minute

// signAnswer is the answer as one token (JARM §2.1), encrypted where the client
// wants that.
func (p *Provider) signAnswer(ctx context.Context, r *authRequest, answer map[string]string) (string, error) {
	claims := map[string]any{"aud": r.client.ID, "exp": time.Now().Add(answerLife).Unix()}
	for name, value := range answer {
		if claims[name] = value; name == "expires_in" {
			claims[name] = json.Number(value)
		}
	}
	signed, err := p.keys.Sign(ctx, cmp.Or(r.client.AuthorizationSignedResponseAlg, keys.RS256), typAnswer, claims)
	if err != nil {
		return "", err
	}
	return p.encrypted(ctx, r.client, r.client.OfAnswers(), signed, nested)
}

// redirectURL adds the answer to the address as it was registered, whose own
// query stays as it is, to the letter.
func redirectURL(r *authRequest, answer map[string]string) string {
	values := url.Values{}
	for name, value := range answer {
		values.Set(name, value)
	}
	switch {
	case r.mode == modeFragment:
		return r.redirect + "#" + values.Encode()
	case strings.HasSuffix(r.redirect, "?"):
		return r.redirect + values.Encode()
	case strings.Contains(r.redirect, "?"):
		return r.redirect + "&" + values.Encode()
	default:
		return r.redirect + "?" + values.Encode()
	}
}

// formPost hands the answer over in a form that the browser posts.
func formPost(c echo.Context, r *authRequest, answer map[string]string) error {
	page := templates.FormPost{Action: r.redirect}
	for _, name := range slices.Sorted(maps.Keys(answer)) {
		page.Fields = append(page.Fields, templates.Field{Name: name, Value: answer[name]})
	}
	locales := r.form.Get("ui_locales")
	client := r.client.In(web.Language(c, locales))
	return web.Render(c, http.StatusOK, page, web.ForService(login.ServiceOf(client, r.redirect)), web.Locales(locales))
}
