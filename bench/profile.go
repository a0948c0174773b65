package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// profile has the program profiled while a load lasts, if a folder was named;
// what it returns waits for the profile. What profiling costs is measured too.
func (s *server) profile(ctx context.Context, dir, scenario string, window time.Duration) func() error {
	if dir == "" || s.admin == "" {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() {
		done <- fetch(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%.0f", s.admin, max(1, window.Seconds())), filepath.Join(dir, s.name+"-"+scenario+".pprof"))
	}()
	return func() error { return <-done }
}

// statements writes down what each database was busy with, if a folder was
// named, and how often it waited for the disk.
func (f fleet) statements(ctx context.Context, dir string) error {
	for _, s := range f {
		if dir == "" || s.database == nil {
			continue
		}
		list, err := s.database.Costliest(ctx)
		if err != nil {
			return err
		}
		log, err := s.database.Log(ctx)
		if err != nil {
			return err
		}
		list = append(list, log)
		if err := os.WriteFile(filepath.Join(dir, s.name+"-statements.txt"), []byte(strings.Join(list, "\n")+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// fetch keeps what an address answers.
func fetch(ctx context.Context, address, file string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = a.Body.Close() }()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, a.Status)
	}
	return os.WriteFile(file, b, 0o600)
}
