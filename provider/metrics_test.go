package provider

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

func TestMetrics(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newInstallation(t, db)
		registry := prometheus.NewRegistry()
		m, err := newMetrics(registry)
		if err != nil {
			t.Fatal(err)
		}
		h.provider.metrics = m
		s := h.service("")
		citizen := h.people()
		s.signIn(citizen)
		code := s.code()
		tokens := s.exchange(code).ok(t)
		s.refresh(tokens["refresh_token"].(string)).ok(t)
		s.exchange(code)
		s.tokens()
		if err := h.provider.RevokeCitizen(t.Context(), citizen, "revoked"); err != nil {
			t.Fatal(err)
		}
		want := map[string]float64{
			"idp_tokens_issued_total authorization_code": 2, "idp_tokens_issued_total refresh_token": 1,
			"idp_grants_revoked_total " + reasonReplay: 1, "idp_grants_revoked_total revoked": 1,
		}
		if diff := cmp.Diff(want, gathered(t, registry)); diff != "" {
			t.Errorf("counted (-want +got):\n%s", diff)
		}
	})
}

// gathered are the counters, by name and label.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			counts[f.GetName()+" "+m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return counts
}
