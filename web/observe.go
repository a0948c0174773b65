package web

import (
	"crypto/rand"
	"errors"
	"fmt"
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

// observe is the outermost layer: it names the request, lets the rest answer,
// errors included, and then counts and logs what happened. Addresses are logged
// as route patterns: paths and queries hold ids and codes.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		method := c.Request().Method
		c.Response().Header().Set(echo.HeaderXRequestID, newRequestID())
		if err := next(c); err != nil {
			c.Error(err)
		}
		took := time.Since(start)
		s.metrics.count(c.Path(), method, c.Response().Status, took)
		s.log.Info("request", "request_id", RequestID(c), "method", method, "route", c.Path(),
			"status", c.Response().Status, "bytes", c.Response().Size, "ms", took.Milliseconds(), "ip", c.RealIP())
		return nil
	}
}

// rescue turns a panic into an error. The stack goes into the log without the
// panic's value being shown to anybody else.
func (s *Server) rescue(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
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
		return next(c)
	}
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

// headAsGet lets HEAD reach what GET reaches. Echo has routed already, to a 405:
// it routes again, and net/http, which keeps the original request, drops the body.
func (s *Server) headAsGet(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.Method != http.MethodHead {
			return next(c)
		}
		get := r.WithContext(r.Context())
		get.Method = http.MethodGet
		c.SetRequest(get)
		s.Echo.Router().Find(get.Method, echo.GetPath(get), c)
		return c.Handler()(c)
	}
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
