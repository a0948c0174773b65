package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"ente.example/idp/credentials"
)

const (
	// patience is how much the heap may grow over what is in use, in hundredths of
	// it, before it is collected: while there is little to do, and while there is much.
	patienceQuiet, patienceBusy = 100, 400
	// busyRate is how many bytes a second a node makes that is not just looking
	// whether there is anything to do.
	busyRate = 4 << 20
	// mostMemory is what a node may take before it collects more often whatever
	// there is to do, besides what hashes take where they must be made in this process.
	mostMemory = 192 << 20
	// settleAfter is how long the workers go on starting once everybody is served.
	settleAfter = 3 * time.Second
)

// spareCollector gives back what the start has made and nobody needs any more.
// Then it has the runtime collect less often while there is work, which costs
// memory, and as often as ever while there is none, until ctx ends (decision
// 0035). What the operator has said in GOGC or GOMEMLIMIT stands.
func spareCollector(ctx context.Context, hash credentials.Cost) {
	if os.Getenv("GOMEMLIMIT") == "" {
		one := max(hash.Memory, credentials.FloorCost().Memory)
		debug.SetMemoryLimit(mostMemory + int64(runtime.NumCPU())*int64(one)<<10)
	}
	go func() {
		debug.FreeOSMemory()
		wait(ctx, settleAfter)
		_ = forgetProgram() // what cannot be let go of stays
	}()
	if os.Getenv("GOGC") != "" {
		return
	}
	const every = time.Second
	tick := time.NewTicker(every)
	go func() {
		defer tick.Stop()
		followWork(ctx, tick.C, busyRate*uint64(every/time.Second), made, func(percent int) { debug.SetGCPercent(percent) })
	}()
}

// followWork looks, at each tick, whether more than most bytes have been made
// since the last.
func followWork(ctx context.Context, tick <-chan time.Time, most uint64, made func() uint64, collect func(percent int)) {
	busy, before := false, made()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		now := made()
		switch much := now-before > most; { // setting it stops the world: no more often than needed
		case much && !busy:
			collect(patienceBusy)
		case !much && busy:
			collect(patienceQuiet)
		}
		busy, before = now-before > most, now
	}
}

// made are the bytes that the program has asked of the heap so far.
func made() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
