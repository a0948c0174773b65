package provider

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/audit"
	"ente.example/idp/clients"
	"ente.example/idp/login"
	"ente.example/idp/templates"
	"ente.example/idp/throttle"
	"ente.example/idp/web"
)

// tries counts what is typed as a user code.
type tries struct{ browser, network *throttle.Guard }

func newTries(d Deps) (t tries, err error) {
	p := d.Devices.withDefaults()
	guard := func(most int, wait time.Duration) (*throttle.Guard, error) {
		figures := throttle.Policy{Threshold: most, Wait: wait, ShadowTTL: time.Hour + wait, ShadowCap: 1_000_000}
		return throttle.New(throttle.Deps{DB: d.DB, Key: d.TriesKey, Policy: figures})
	}
	if t.browser, err = guard(p.Tries, p.Wait); err != nil {
		return t, err
	}
	t.network, err = guard(p.NetworkTries, p.NetworkWait)
	return t, err
}

// keys are the two counters of a request. An IPv6 network is a /64: whoever has
// one has all of it.
func (tries) keys(c echo.Context) (browser, network []byte) {
	from := c.RealIP()
	if a, err := netip.ParseAddr(from); err == nil && a.Unmap().Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			from = p.String()
		}
	}
	return []byte("device/browser\x00" + web.Browser(c)), []byte("device/network\x00" + from)
}

// reserve counts a try before it is looked at; a time is when the next one will
// be, and this one is not. What the network has to wait for is nothing that this
// browser did wrong.
func (t tries) reserve(c echo.Context) (time.Time, error) {
	ctx := c.Request().Context()
	browser, network := t.keys(c)
	guess, err := t.browser.ReserveShadow(ctx, browser)
	if err != nil || guess.Refused() {
		return guess.Until, err
	}
	if guess, err = t.network.ReserveShadow(ctx, network); err != nil || !guess.Refused() {
		return time.Time{}, err
	}
	return guess.Until, t.browser.TakeBackShadow(ctx, browser)
}

// takeBack uncounts a try that was right.
func (t tries) takeBack(c echo.Context) error {
	browser, network := t.keys(c)
	ctx := c.Request().Context()
	return errors.Join(t.browser.TakeBackShadow(ctx, browser), t.network.TakeBackShadow(ctx, network))
}

// showDevice is GET /device: the form, filled in where the address brings the
// code. Nothing is looked up for an address that somebody else may have made.
func (p *Provider) showDevice(c echo.Context) error {
	code := c.QueryParam("user_code")
	if user, problem := parseUserCode(code); problem == "" {
		code = user.reveal()
	} else {
		code = ""
	}
	return web.Render(c, http.StatusOK, templates.Device{Action: devicePath, Code: code})
}

// enterDevice is POST /device: the code, and then the answer to what it is for.
func (p *Provider) enterDevice(c echo.Context) error {
	typed := web.PostValue(c, "user_code")
	user, problem := parseUserCode(typed)
	if problem != "" {
		return web.Render(c, http.StatusOK, templates.Device{
			Action: devicePath, Code: clip(typed), Problem: templates.FormInvalidField,
			Fields: []templates.FieldProblem{{Field: "user_code", Problem: problem}},
		})
	}
	until, err := p.tries.reserve(c)
	if err != nil {
		return err
	}
	if !until.IsZero() {
		return web.Render(c, http.StatusOK, templates.Device{Action: devicePath, Code: user.reveal(), Problem: templates.LoginWaiting, Until: until})
	}
	row, client, err := p.findDevice(c.Request().Context(), user)
	if errors.Is(err, errDeviceGone) {
		return web.Render(c, http.StatusOK, templates.Device{Action: devicePath, Code: user.reveal(), Problem: templates.CodeWrong})
	}
	if err != nil {
		return err
	}
	if err := p.tries.takeBack(c); err != nil {
		return err
	}
	return p.answerDevice(c, user, row, client)
}

// clip shows what was typed again, as far as it can have been meant as a code.
func clip(typed string) string {
	const most = 40
	if len(typed) > most || !clean(typed) {
		return ""
	}
	return typed
}

// findDevice is the request that waits for this code. That of a service which
// was disabled meanwhile is gone.
func (p *Provider) findDevice(ctx context.Context, user userCode) (deviceRow, clients.Client, error) {
	hashes, err := p.userHashes(user)
	if err != nil {
		return deviceRow{}, clients.Client{}, err
	}
	row, err := deviceRow{}, errDeviceGone
	for _, hash := range hashes {
		if row, err = p.devices.waiting(ctx, hash); !errors.Is(err, errDeviceGone) {
			break
		}
	}
	if err != nil {
		return deviceRow{}, clients.Client{}, err
	}
	client, err := p.clients.Get(ctx, row.ClientID)
	if errors.Is(err, clients.ErrUnknown) || errors.Is(err, clients.ErrDisabled) {
		err = errDeviceGone
	}
	return row, client, err
}

// answerDevice asks whether this is what the citizen has begun, and goes on or
// ends it as the answer says.
func (p *Provider) answerDevice(c echo.Context, user userCode, row deviceRow, client clients.Client) error {
	switch web.PostValue(c, "action") {
	case "continue":
		return p.beginDevice(c, row, client)
	case "deny":
		err := p.db.InTx(c.Request().Context(), func(ctx context.Context) error { return p.denyDevice(ctx, c, row.DeviceHash, client) })
		if errors.Is(err, errDeviceGone) {
			return p.endDevice(c, client, templates.DeviceOver)
		}
		if err != nil {
			return err
		}
		return p.endDevice(c, client, templates.DeviceDenied)
	}
	return web.Render(c, http.StatusOK, templates.DeviceConfirm{Action: devicePath, Code: user.reveal(), StartedAt: row.CreatedAt.Time},
		web.ForService(login.ServiceOf(client.In(web.Language(c, "")), "")), web.At(row.Clock.Time))
}

// beginDevice makes an interaction of the device's request: from here on it
// goes the way of every other sign-in.
func (p *Provider) beginDevice(c echo.Context, row deviceRow, client clients.Client) error {
	f, err := parseParameters(row.Params)
	if err != nil {
		return err
	}
	r := &authRequest{form: f, client: client, device: row.DeviceHash}
	if err := p.checkDevice(r); err != nil { // the registration has changed since
		return p.endDevice(c, client, templates.DeviceOver)
	}
	request := r.interaction(0)
	request.Params = row.Params + "&" + url.Values{deviceParam: {base64.RawURLEncoding.EncodeToString(row.DeviceHash)}}.Encode()
	i, err := p.interactions.Start(c.Request().Context(), web.Browser(c), request)
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, i.ResumeURL())
}

// issueDevice is issue for a device: the grant is bound to the device code, and
// the browser is told that it is done.
func (p *Provider) issueDevice(c echo.Context, r *authRequest, on login.Step, s standing) error {
	g := p.grant(r, s)
	g.CodeHash, g.Nonce = r.device, r.form.Get("nonce")
	err := p.db.InTx(c.Request().Context(), func(ctx context.Context) error {
		if err := p.closingIn(ctx, &on, *s.session); err != nil {
			return err
		}
		until, err := p.devices.answer(ctx, r.device, deviceApproved)
		if err != nil {
			return err
		}
		g.CodeExpiresAt = until
		if err := p.grants.insert(ctx, g); err != nil {
			return err
		}
		if err := p.rememberService(ctx, r.client, g); err != nil {
			return err
		}
		e := with(g.event(audit.CodeIssued, audit.Succeeded, login.Actor(c, s.session)), "kind", "device")
		return p.audit.Record(ctx, with(e, "scope", scopeText(g.Scopes)))
	})
	if errors.Is(err, errDeviceGone) {
		return p.endDevice(c, r.client, templates.DeviceOver)
	}
	if err != nil {
		return err
	}
	return p.endDevice(c, r.client, templates.DeviceAllowed)
}

// denyDevice settles a device's request with no. It needs a transaction.
func (p *Provider) denyDevice(ctx context.Context, c echo.Context, hash []byte, client clients.Client) error {
	if _, err := p.devices.answer(ctx, hash, deviceDenied); err != nil {
		return err
	}
	return p.audit.Record(ctx, audit.Event{
		Type: audit.DeviceDenied, Outcome: audit.Refused, Actor: login.Actor(c, nil), Client: client.ID, Reason: codeAccessDenied,
	})
}

// endDevice is the last page in the browser; the device finds out by itself.
func (p *Provider) endDevice(c echo.Context, client clients.Client, how templates.DeviceEnd) error {
	noStore(c.Response().Header())
	return web.Render(c, http.StatusOK, templates.DeviceDone{How: how, AgainURL: devicePath}, web.ForService(login.ServiceOf(client.In(web.Language(c, "")), "")))
}
