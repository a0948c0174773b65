package web

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
)

// referenceAlphabet has no 0, O, 1, I, L: references are read out on the telephone.
const referenceAlphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"

// RequestID names the request in logs and audit: four groups of four, of our own
// making (what a header says could be anybody's).
func RequestID(c echo.Context) string {
	return c.Response().Header().Get(echo.HeaderXRequestID)
}

// Reference is the part of the request's id that error pages show.
func Reference(c echo.Context) string {
	id := RequestID(c)
	return id[:min(len("XXXX-XXXX"), len(id))]
}

// newRequestID is not a secret; 79 random bits keep it unique. A byte in 32 is
// drawn in vain, so that a few more than sixteen nearly always do.
func newRequestID() string {
	id := make([]byte, 0, len("XXXX-XXXX-XXXX-XXXX"))
	var drawn [24]byte
	for next := len(drawn); len(id) < cap(id); next++ {
		if next == len(drawn) {
			_, _ = rand.Read(drawn[:]) // never fails: crypto/rand ends the program instead
			next = 0
		}
		i := int(drawn[next] & 31)
		if i >= len(referenceAlphabet) {
			continue
		}
		if len(id)%5 == 4 {
			id = append(id, '-')
		}
		id = append(id, referenceAlphabet[i])
	}
	return string(id)
}

// around is all that runs around every handler, those for unknown paths too, as
// one layer: Echo makes each of its layers anew for each request. It names the
// request, lets the rest answer, errors included, and then counts and logs it.
func (s *Server) around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start, method, id := time.Now(), c.Request().Method, newRequestID()
		s.begin(c, id)
		if err := s.handle(c, next); err != nil {
			c.Error(err)
		}
		took := time.Since(start)
		s.metrics.count(c.Path(), method, c.Response().Status, took)
		s.note(c, id, method, start, took)
		return nil
	}
}

// handle asks the guards, then the handler. A panic becomes an error: its stack
// goes into the log without the panic's value being shown to anybody else.
func (s *Server) handle(c echo.Context, next echo.HandlerFunc) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if e, ok := p.(error); ok && errors.Is(e, http.ErrAbortHandler) {
			panic(p) // net/http's own way to drop a connection
		}
		err = fmt.Errorf("panic: %s\n%s", cause(p), debug.Stack())
	}()
	if err := s.guard(c); err != nil {
		return err
	}
	if c.Request().Method == http.MethodHead {
		next = s.asGet(c)
	}
	return next(c)
}

// note writes the request's line. Addresses are logged as route patterns: paths
// and queries hold ids and codes. The handler gets the record itself, since a
// Logger would first look up who called it.
func (s *Server) note(c echo.Context, id, method string, start time.Time, took time.Duration) {
	ctx, to := c.Request().Context(), s.log.Handler()
	if !to.Enabled(ctx, slog.LevelInfo) {
		return
	}
	line := slog.NewRecord(start.Add(took), slog.LevelInfo, "request", 0)
	line.AddAttrs(slog.String("request_id", id), slog.String("method", method), slog.String("route", c.Path()),
		slog.Int("status", c.Response().Status), slog.Int64("bytes", c.Response().Size),
		slog.Int64("ms", took.Milliseconds()), slog.String("ip", c.RealIP()))
	_ = to.Handle(ctx, line) // a log that cannot be written is nothing to tell in the log
}

// cause names a panic for the log. A value of another type may hold what must not
// be written down: its type has to do.
func cause(p any) string {
	switch p := p.(type) {
	case runtime.Error:
		return p.Error()
	case string:
		return p
	default:
		return fmt.Sprintf("%T", p)
	}
}

// asGet is what answers HEAD: whatever answers GET. Echo has routed already, to
// a 405: it routes again, and net/http, which keeps the original request, drops
// the body.
func (s *Server) asGet(c echo.Context) echo.HandlerFunc {
	get := c.Request().WithContext(c.Request().Context())
	get.Method = http.MethodGet
	c.SetRequest(get)
	s.Echo.Router().Find(get.Method, echo.GetPath(get), c)
	return c.Handler()
}

// metrics are the idp_http_* collectors of the contract.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "idp_http_requests_total", Help: "Requests answered, by route pattern.",
		}, []string{"route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "idp_http_request_duration_seconds", Help: "Time to answer, by route pattern.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route"}),
	}
	if r == nil {
		return m, nil
	}
	return m, errors.Join(r.Register(m.requests), r.Register(m.duration))
}

// count keeps labels few: an unknown path or method is one label, not one each.
func (m *metrics) count(route, method string, code int, took time.Duration) {
	if route == "" {
		route = "none"
	}
	known := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions}
	if !slices.Contains(known, method) {
		method = "other"
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(code)).Inc()
	m.duration.WithLabelValues(route).Observe(took.Seconds())
}
