package provider

import "github.com/prometheus/client_golang/prometheus"

// keyGauge tells how many keys sign with each algorithm, as this node knows:
// anything but one is an alarm.
type keyGauge struct{ ring *KeyRing }

func (keyGauge) desc() *prometheus.Desc {
	return prometheus.NewDesc("idp_keys_active", "Signing keys that are active.", []string{"alg"}, nil)
}

// Describe implements prometheus.Collector.
func (g keyGauge) Describe(to chan<- *prometheus.Desc) { to <- g.desc() }

// Collect implements prometheus.Collector.
func (g keyGauge) Collect(to chan<- prometheus.Metric) {
	active := g.ring.snap.Load().active
	for _, alg := range Algorithms() {
		n := 0.0
		if active[alg] != nil {
			n = 1
		}
		to <- prometheus.MustNewConstMetric(g.desc(), prometheus.GaugeValue, n, alg)
	}
}
