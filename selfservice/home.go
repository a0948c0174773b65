package selfservice

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"ente.example/idp/clients"
	"ente.example/idp/login"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// The addresses of the tasks, of which only those that answer are linked.
const (
	homePath    = "/pin"
	lostPath    = "/pin/lost"
	requestPath = "/pin/request"
	recoverPath = "/pin/recover"
	revokePath  = "/pin/revoke"
	trackPath   = "/pin/track"
	reportPath  = "/pin/report"
)

func (h *Handler) mountHome(e *echo.Echo) {
	e.GET(homePath, h.home)
	e.GET(lostPath, h.lost)
	e.POST(lostPath, h.answerLost)
}

// home lists what can be done about a PIN (R5).
func (h *Handler) home(c echo.Context) error {
	left, err := h.leftSignIn(c)
	if err != nil {
		return err
	}
	return left.render(c, templates.PINHome{
		Request: built(c, requestPath), Recover: built(c, recoverPath), Revoke: built(c, revokePath),
		Change: built(c, changePath), Area: built(c, accountPath), Track: built(c, trackPath), Report: built(c, reportPath),
		LostURL: left.address(lostPath, nil), SignInURL: left.resume,
	})
}

// built tells whether a page is there: one that is not gets no link.
func built(c echo.Context, path string) bool { return web.Mounted(c, path) }

// signInField carries the sign-in that was left for our pages, from the link on
// the login page on.
const signInField = "sign_in"

// left is that sign-in. The zero value is none: our pages are as good without.
type left struct {
	id     string
	resume string
	shown  []web.Option
}

// leftSignIn finds the sign-in named in the address or in the form, if it is
// open and this browser's. One that is not is no reason to refuse the page.
func (h *Handler) leftSignIn(c echo.Context) (left, error) {
	id := c.QueryParam(signInField)
	if id == "" {
		id = web.PostValue(c, signInField)
	}
	if id == "" {
		return left{}, nil
	}
	v, err := login.Find(c, h.Interactions, h.Clients, id)
	if errors.Is(err, login.ErrLost) || errors.Is(err, clients.ErrUnknown) || errors.Is(err, clients.ErrDisabled) {
		return left{}, nil
	}
	if err != nil {
		return left{}, err
	}
	return left{id: v.ID, resume: v.ResumeURL(), shown: v.Frame()}, nil
}

// address is a page of ours that knows the sign-in, too.
func (l left) address(path string, query url.Values) string {
	all := url.Values{}
	for name, values := range query {
		all[name] = values
	}
	if l.id != "" {
		all.Set(signInField, l.id)
	}
	if len(all) == 0 {
		return path
	}
	return path + "?" + all.Encode()
}

func (l left) render(c echo.Context, p templates.Page) error {
	return web.Render(c, http.StatusOK, p, l.shown...)
}
