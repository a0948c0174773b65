package selfservice

import (
	"github.com/labstack/echo/v4"

	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// another is the value of action that asks for another captcha, without a script.
const another = "another"

func (h *Handler) mountCaptcha(e *echo.Echo) {}

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
	if err != nil || !live {
		return templates.Captcha{}, err
	}
	return templates.Captcha{ID: id, Answer: web.PostValue(c, "captcha")}, nil
}

// solved tells whether the posted captcha is right, and spends it whatever the
// answer. Ask it after the fields are known to be well formed and before any
// code is looked at: a wrong captcha never consumes a code (R54).
func (h *Handler) solved(c echo.Context, form string) (bool, error) {
	return h.Captchas.Check(c.Request().Context(), web.PostValue(c, "captcha_id"), form, web.Browser(c), web.PostValue(c, "captcha"))
}
