package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ente.example/idp/migrations"
)

// mostDrift is how far this node's clock may be from the database's.
const mostDrift = 2 * time.Second

// adminRoutes are for operators alone: their listener is never public.
func (s *server) adminRoutes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok", nil) })
	m.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := s.ready(ctx); err != nil {
			answer(w, http.StatusServiceUnavailable, "not ready", err)
			return
		}
		answer(w, http.StatusOK, "ready", nil)
	})
	m.Handle("GET /metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}))
	m.HandleFunc("GET /debug/pprof/", pprof.Index)
	m.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	m.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	m.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return m
}

func answer(w http.ResponseWriter, status int, word string, err error) {
	doc := map[string]string{"status": word}
	if err != nil {
		doc["reason"] = err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc)
}

// ready says whether this node should get requests.
func (s *server) ready(ctx context.Context) error {
	if s.draining.Load() {
		return fmt.Errorf("draining")
	}
	before := time.Now()
	now, err := s.db.Now(ctx)
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	// the database answered somewhere between before and now
	if drift := max(before.Sub(now), time.Until(now)); drift > mostDrift {
		return fmt.Errorf("this node's clock is %s off the database's", drift.Round(time.Millisecond))
	}
	if err := s.db.Ping(ctx); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	// a newer schema is what a rolling upgrade looks like from here: migrations
	// only ever expand, so this node goes on until it is replaced
	if err := migrations.Check(ctx, s.db); !errors.Is(err, migrations.ErrNewer) {
		return err
	}
	return nil
}
