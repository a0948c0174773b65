package login

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"
)

// Step is what a page of a sign-in has brought about: the interaction and the
// session as they are now, so that nobody has to look at them again.
type Step struct {
	Interaction Interaction
	Session     *Session // nil: whoever goes on looks
	// Record writes what the page has left to write, once, in the transaction of
	// what comes of it; nil for nothing. With last it also ends the interaction and
	// touches the session.
	Record func(ctx context.Context, last bool) error
}

// Onward goes on from a step and answers the request with what comes next:
// another page, or what the service is told. It calls Record, if there is one.
type Onward func(c echo.Context, s Step) error

// Resume is the Onward that decides nothing: it records, and sends the browser
// to where the next step is decided.
func Resume(c echo.Context, s Step) error {
	if s.Record != nil {
		if err := s.Record(c.Request().Context(), false); err != nil {
			return err
		}
	}
	return c.Redirect(http.StatusSeeOther, s.Interaction.ResumeURL())
}
