package web

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/templates"
)

// Problem is an error that says which error page people see. Err is for the log.
type Problem struct {
	Status     int
	Key        templates.Problem
	Err        error
	RetryAfter time.Duration // 0: no Retry-After
	// BackURL is where the page's way back leads; empty for none.
	BackURL string
}

// Refuse is a Problem that has nothing more to say.
func Refuse(status int, key templates.Problem) *Problem {
	return &Problem{Status: status, Key: key}
}

func (p *Problem) Error() string {
	if p.Err == nil {
		return string(p.Key)
	}
	return fmt.Sprintf("%s: %v", p.Key, p.Err)
}

func (p *Problem) Unwrap() error { return p.Err }

// fail ends a request whose handler returned an error: logged once, then the
// error page, or JSON where a machine listens.
func (s *Server) fail(err error, c echo.Context) {
	p := s.problem(err)
	s.logFailure(c, p)
	if c.Response().Committed {
		return
	}
	if p.RetryAfter > 0 {
		seconds := int(math.Ceil(p.RetryAfter.Seconds()))
		c.Response().Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	if s.machine(c.Request().URL.Path) {
		err = c.JSON(p.Status, map[string]string{"error": oauthCode(p.Status)})
	} else {
		err = s.failPage(c, p)
	}
	if err != nil {
		s.log.Error("error page", "request_id", RequestID(c), "error", err)
	}
}

// failPage shows the error page. If even that cannot be rendered, a bare line is
// better than nothing.
func (s *Server) failPage(c echo.Context, p *Problem) error {
	now := time.Now()
	err := Render(c, p.Status, templates.Error{
		Problem: p.Key, Reference: Reference(c), At: now, BackURL: p.BackURL,
	}, At(now))
	if err == nil || c.Response().Committed {
		return err
	}
	return errors.Join(err, c.String(p.Status, Reference(c)+"\n"))
}

// problem finds out what an error means for people.
func (s *Server) problem(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var he *echo.HTTPError
	if errors.As(err, &he) {
		return &Problem{Status: httpStatus(he.Code), Key: keyOf(he.Code), Err: err}
	}
	if s.unavailable != nil && s.unavailable(err) {
		return &Problem{Status: http.StatusServiceUnavailable, Key: templates.ServerUnavailable, Err: err, RetryAfter: 5 * time.Second}
	}
	return &Problem{Status: http.StatusInternalServerError, Key: templates.ServerFault, Err: err}
}

// httpStatus keeps the statuses that error pages have; others become 400 or 500.
func httpStatus(code int) int {
	switch {
	case keyOf(code) != templates.ServerFault, code == http.StatusUnsupportedMediaType:
		return code
	case code < http.StatusInternalServerError:
		return http.StatusBadRequest
	default:
		return http.StatusInternalServerError
	}
}

func keyOf(code int) templates.Problem {
	switch code {
	case http.StatusBadRequest, http.StatusUnsupportedMediaType:
		return templates.RequestMalformed
	case http.StatusForbidden:
		return templates.RequestForm
	case http.StatusNotFound:
		return templates.RequestNotFound
	case http.StatusMethodNotAllowed:
		return templates.RequestMethod
	case http.StatusRequestEntityTooLarge:
		return templates.RequestTooLarge
	case http.StatusTooManyRequests:
		return templates.RequestTooMany
	case http.StatusServiceUnavailable:
		return templates.ServerUnavailable
	default:
		return templates.ServerFault
	}
}

// logFailure writes faults of ours as errors, refusals for whoever looks closely.
// A person who closed the page is neither.
func (s *Server) logFailure(c echo.Context, p *Problem) {
	if p.Err == nil || errors.Is(p.Err, context.Canceled) && c.Request().Context().Err() != nil {
		return
	}
	level := s.log.Debug
	if p.Status >= http.StatusInternalServerError {
		level = s.log.Error
	}
	level("request failed", "request_id", RequestID(c), "route", c.Path(), "status", p.Status, "error", p.Err)
}

// machine tells the paths where programs listen, which want JSON.
func (s *Server) machine(path string) bool {
	for _, m := range s.machines {
		if path == m || strings.HasSuffix(m, "/") && strings.HasPrefix(path, m) {
			return true
		}
	}
	return false
}

// oauthCode is the RFC 6749 word for what went wrong before a handler could say.
func oauthCode(status int) string {
	switch {
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		return "temporarily_unavailable"
	case status >= http.StatusInternalServerError:
		return "server_error"
	default:
		return "invalid_request"
	}
}
