package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"ente.example/idp/bench/driver"
	"ente.example/idp/bench/render"
)

// several runs the program on so many nodes, each of one processor, on one
// PostgreSQL, and compares what an operation takes with what it takes on the
// first number. The groups stand side by side, so that the machine's noise hits
// all alike; the load goes to every node in turn.
func (o options) several(ctx context.Context, out io.Writer, dir string) error {
	if o.scenarios == "" {
		o.scenarios = "sign-in,sso,exchange,refresh,userinfo"
	}
	var ways []way
	for text := range strings.SplitSeq(o.nodes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-nodes %s: want numbers with commas", o.nodes)
		}
		ways = append(ways, way{name: groupName(n), nodes: n, pinned: true})
	}
	program := filepath.Join(dir, "program")
	if err := build(ctx, program, "./cmd/idp", "-tags", "bench"); err != nil {
		return err
	}
	f, err := o.apart(ctx, dir, program, ways...)
	defer f.stop() //nolint:contextcheck // servers end whatever has happened to the context
	if err != nil {
		return err
	}
	for _, s := range f {
		s.watched = true
	}
	about := o.describe(ctx, load())
	hash := milliseconds(hashTime())
	all, err := o.measure(ctx, out, f)
	if err != nil {
		return err
	}
	return o.publish(out, "nodes", render.Nodes(about, "-nodes "+o.nodes, groups(all, ways), hash))
}

func groupName(nodes int) string { return fmt.Sprintf("%d-nodes", nodes) }

// groups are the medians, by scenario and number of nodes.
func groups(all []result, ways []way) (list []render.Group) {
	for _, scenario := range driver.Scenarios() {
		for _, w := range ways {
			rounds := of(all, scenario.Name, w.name)
			if len(rounds) == 0 {
				continue
			}
			g := render.Group{Nodes: w.nodes, Figure: figure(rounds)}
			for _, r := range rounds {
				g.Looks, g.Busy, g.Locked, g.Logged = g.Looks+r.Waits.Looks, g.Busy+r.Waits.Busy, g.Locked+r.Waits.Locked, g.Logged+r.Waits.Logged
				g.Connections = max(g.Connections, r.Waits.Connections)
				g.Rollbacks, g.Deadlocks = g.Rollbacks+int(r.Counts.Rollbacks), g.Deadlocks+int(r.Counts.Deadlocks)
			}
			list = append(list, g)
		}
	}
	return list
}

// hashTime is the processor time of the hash that the figures leave out:
// Argon2id as credentials.FloorCost has it.
func hashTime() time.Duration {
	const times = 10
	before := ownTime()
	for range times {
		argon2.IDKey(make([]byte, 32), make([]byte, 16), 1, 47104, 1, 32)
	}
	return (ownTime() - before) / times
}
