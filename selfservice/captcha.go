package selfservice

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/templates"
	"ente.example/idp/throttle"
	"ente.example/idp/web"
)

// another is the value of action that asks for another captcha, without a script.
const another = "another"

func (h *Handler) mountCaptcha(e *echo.Echo) { e.GET("/captcha/:file", h.showCaptcha) }

// showCaptcha sends the picture or the sound of a captcha, by the ending of its
// name. The sound speaks the page's language, which the page puts into lang.
func (h *Handler) showCaptcha(c echo.Context) error {
	file := c.Param("file")
	if id, ok := strings.CutSuffix(file, ".png"); ok {
		return serve(c, file, "image/png", func(ctx context.Context) ([]byte, error) {
			return h.Captchas.Picture(ctx, id, web.Browser(c))
		})
	}
	id, ok := strings.CutSuffix(file, ".wav")
	if !ok {
		return web.Refuse(http.StatusNotFound, templates.RequestNotFound)
	}
	language := c.QueryParam("lang")
	if language == "" {
		language = web.Language(c, "")
	}
	return serve(c, file, "audio/wav", func(ctx context.Context) ([]byte, error) {
		return h.Captchas.Sound(ctx, id, web.Browser(c), language)
	})
}

// serve answers with a file that this browser may keep as long as the captcha
// lives: players fetch a sound in pieces, and Back must not draw it again.
func serve(c echo.Context, name, kind string, get func(context.Context) ([]byte, error)) error {
	body, err := get(c.Request().Context())
	if errors.Is(err, throttle.ErrNoCaptcha) {
		return web.Refuse(http.StatusNotFound, templates.RequestNotFound)
	}
	if err != nil {
		return err
	}
	c.Response().Header().Set("Content-Type", kind)
	c.Response().Header().Set("Cache-Control", "private, max-age=600")
	http.ServeContent(c.Response(), c.Request(), name, time.Time{}, bytes.NewReader(body))
	return nil
}

// wantsAnother tells whether the button for another captcha was pressed.
func wantsAnother(c echo.Context) bool { return web.PostValue(c, "action") == another }

// challenge makes a captcha for a form that is shown for the first time, or
// anew after a right or wrong answer. It is empty where captchas are off.
func (h *Handler) challenge(c echo.Context, form string) (templates.Captcha, error) {
	id, err := h.Captchas.Make(c.Request().Context(), form, web.Browser(c))
	return templates.Captcha{ID: id}, err
}

// otherChallenge answers the button for another captcha: the old one is spent.
func (h *Handler) otherChallenge(c echo.Context, form string) (templates.Captcha, error) {
	if _, err := h.solved(c, form); err != nil {
		return templates.Captcha{}, err
	}
	return h.challenge(c, form)
}

// sameChallenge is the captcha that was posted, with what was typed, for a form
// that comes back because another field is wrong: nobody has to solve it again.
// One that is no longer good is replaced.
func (h *Handler) sameChallenge(c echo.Context, form string) (templates.Captcha, error) {
	id := web.PostValue(c, "captcha_id")
	live, err := h.Captchas.Live(c.Request().Context(), id, form, web.Browser(c))
	if err != nil {
		return templates.Captcha{}, err
	}
	if !live {
		return h.challenge(c, form)
	}
	return templates.Captcha{ID: id, Answer: web.PostValue(c, "captcha")}, nil
}

// solved tells whether the posted captcha is right, and spends it whatever the
// answer. Ask it after the fields are known to be well formed and before any
// code is looked at: a wrong captcha never consumes a code (R54).
func (h *Handler) solved(c echo.Context, form string) (bool, error) {
	return h.Captchas.Check(c.Request().Context(), web.PostValue(c, "captcha_id"), form, web.Browser(c), web.PostValue(c, "captcha"))
}
