package provider

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what is issued and what ends. Labels are words of ours, never
// a client or a person.
type metrics struct{ tokens, ended *prometheus.CounterVec }

func newMetrics(r prometheus.Registerer) (metrics, error) {
	m := metrics{
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "idp_tokens_issued_total", Help: "Answers of the token endpoint that carried tokens.",
		}, []string{"grant"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "idp_grants_revoked_total", Help: "Grants that ended before their time.",
		}, []string{"reason"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.tokens, m.ended} {
		if err := r.Register(c); err != nil {
			return metrics{}, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m metrics) issued(grant string) { m.tokens.WithLabelValues(grant).Inc() }

func (m metrics) revoked(reason string, n int) { m.ended.WithLabelValues(reason).Add(float64(n)) }
