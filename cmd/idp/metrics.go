package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"ente.example/idp/delivery"
	"ente.example/idp/provider/keys"
)

// counters are the metrics whose events the rules report. No label holds a
// codice fiscale or a text from outside.
type counters struct {
	logins     *prometheus.CounterVec
	guesses    *prometheus.CounterVec
	locks      prometheus.Counter
	deliveries *prometheus.CounterVec
}

func newCounters(r prometheus.Registerer) *counters {
	c := &counters{
		logins:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "idp_logins_total", Help: "Sign-ins with the PIN, by result and level."}, []string{"result", "level"}),
		guesses:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "idp_pin_guesses_total", Help: "PINs that were typed, by result."}, []string{"result", "lane"}),
		locks:      prometheus.NewCounter(prometheus.CounterOpts{Name: "idp_locks_total", Help: "Waits that began after wrong PINs."}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "idp_deliveries_total", Help: "Hand-overs to a transport, by result."}, []string{"channel", "result"}),
	}
	r.MustRegister(c.logins, c.guesses, c.locks, c.deliveries, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return c
}

func (c *counters) guessed(result string, locked bool) {
	c.guesses.WithLabelValues(result, "account").Inc()
	if locked {
		c.locks.Inc()
	}
}

func (c *counters) signedIn(result string) { c.logins.WithLabelValues(result, "1").Inc() }

func (c *counters) delivered(channel delivery.Channel, result string) {
	c.deliveries.WithLabelValues(string(channel), result).Inc()
}

// observe registers the gauges, which ask when they are read.
func (v *services) observe() error {
	gauge := func(name, help string, read func(ctx context.Context) (float64, error)) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			n, err := read(ctx)
			if err != nil {
				return -1 // known to be unknown
			}
			return n
		})
	}
	all := []prometheus.Collector{
		gauge("idp_argon2_waiting", "PIN hashes that wait for a processor.", func(context.Context) (float64, error) {
			return float64(v.hasher.Waiting()), nil
		}),
		gauge("idp_audit_unanchored_events", "Audit events that no signed checkpoint vouches for yet.", func(ctx context.Context) (float64, error) {
			n, err := v.audit.Unanchored(ctx)
			return float64(n), err
		}),
		oldest{v.outbox}, activeKeys{v.signing},
	}
	for _, c := range all {
		if err := v.metrics.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// oldest tells the age of each channel's oldest waiting message.
type oldest struct{ outbox *delivery.Outbox }

var oldestDesc = prometheus.NewDesc("idp_outbox_oldest_seconds", "How long the oldest message has waited.", []string{"channel"}, nil) //nolint:gochecknoglobals // a description

func (oldest) Describe(d chan<- *prometheus.Desc) { d <- oldestDesc }

func (o oldest) Collect(m chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	ages, err := o.outbox.Oldest(ctx)
	if err != nil {
		return
	}
	for _, c := range []delivery.Channel{delivery.SMS, delivery.Email, delivery.PEC, delivery.Post} {
		m <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, ages[c].Seconds(), string(c))
	}
}

// activeKeys tells how many keys are in use, by algorithm: one each, or something
// is wrong.
type activeKeys struct{ signing *keys.Set }

var activeDesc = prometheus.NewDesc("idp_keys_active", "The provider's keys in use: those that sign, and those that requests are encrypted to.", []string{"alg"}, nil) //nolint:gochecknoglobals // a description

func (activeKeys) Describe(d chan<- *prometheus.Desc) { d <- activeDesc }

func (a activeKeys) Collect(m chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, alg := range keys.Kinds() {
		n := 0.0
		if _, err := a.signing.Active(ctx, alg); err == nil {
			n = 1
		}
		m <- prometheus.MustNewConstMetric(activeDesc, prometheus.GaugeValue, n, alg)
	}
}
