package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ente.example/idp/bench/driver"
	"ente.example/idp/bench/render"
)

// rsaBits is the size of every RSA key that is measured: the program's own.
const rsaBits = 3072

// alone is the scenario's name of a signature and nothing else.
const alone = "signature"

// signature measures what one RS256 signature takes in the languages of who is
// measured: on all processors at once, as under load, and right before that load.
func (f fleet) signature(ctx context.Context) (list []result, err error) {
	for _, one := range []struct {
		language string
		of       func(context.Context, time.Duration) (time.Duration, error)
		asked    bool
	}{{"go", inGo, f.any("idp") || f.any("floor")}, {"node", inNode, f.any("peer")}} {
		if !one.asked {
			continue
		}
		took, err := one.of(ctx, 500*time.Millisecond)
		if err != nil {
			return nil, fmt.Errorf("measure an RSA signature in %s: %w", one.language, err)
		}
		list = append(list, result{Scenario: alone, Server: one.language, Program: took, Report: driver.Report{Done: 1}})
	}
	return list, nil
}

func (f fleet) any(name string) bool {
	return slices.ContainsFunc(f, func(s *server) bool { return s.name == name })
}

// signatures are the medians of what signature has measured.
func signatures(all []result) render.Signatures {
	typical := func(language string) float64 {
		if list := of(all, alone, language); len(list) > 0 {
			return milliseconds(time.Duration(middle(list, cpu)))
		}
		return 0
	}
	return render.Signatures{Go: typical("go"), Node: typical("node")}
}

func inNode(ctx context.Context, span time.Duration) (time.Duration, error) {
	out, err := exec.CommandContext(ctx, "node", "bench/peer/signature.mjs", strconv.FormatInt(span.Milliseconds(), 10)).Output()
	if err != nil {
		return 0, err
	}
	micros, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	return time.Duration(micros * float64(time.Microsecond)), err
}

func inGo(_ context.Context, span time.Duration) (time.Duration, error) {
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return 0, err
	}
	sum := sha256.Sum256([]byte("what is signed"))
	var made, failed atomic.Int64
	var wg sync.WaitGroup
	before, start := ownTime(), time.Now()
	for range runtime.NumCPU() {
		wg.Go(func() {
			for time.Since(start) < span {
				if _, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:]); err != nil {
					failed.Add(1)
				}
				made.Add(1)
			}
		})
	}
	wg.Wait()
	if failed.Load() > 0 {
		return 0, fmt.Errorf("%d signatures failed", failed.Load())
	}
	return (ownTime() - before) / time.Duration(made.Load()), nil
}

// ownTime is the processor time of this process alone.
func ownTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails for no process's own
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
