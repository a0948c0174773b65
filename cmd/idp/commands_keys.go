package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/credentials"
	"ente.example/idp/provider/keys"
)

type keysCommands struct {
	List   keysList   `cmd:"" help:"List the keys that sign, and those that requests are encrypted to."`
	Rotate keysRotate `cmd:"" help:"Publish new keys; they are in use once every JWKS cache has them."`
	Revoke keysRevoke `cmd:"" help:"Withdraw a key at once, with all it signed or could open."`
	Rewrap keysRewrap `cmd:"" help:"Seal every key again under the newest wrapping key."`
}

type keysList struct{}

// Run lists the keys.
func (*keysList) Run(i *invocation) error {
	return i.with(func(ctx context.Context, v *services) error {
		list, err := v.signing.List(ctx)
		if err != nil {
			return err
		}
		return i.print(notNil(list), keyLines(list)...)
	})
}

func keyLines(list []keys.Key) []string {
	lines := []string{}
	for _, k := range list {
		does := "signs"
		if k.Use == "enc" {
			does = "opens requests"
		}
		lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%s from %s", k.Algorithm, k.State, k.Kid, does, k.SignsFrom.Format(time.RFC3339)))
	}
	return lines
}

type keysRotate struct {
	Alg string `help:"One algorithm only: RS256, PS256, ES256, EdDSA, or RSA-OAEP-256 or ECDH-ES, which requests are encrypted with."`
}

// Run begins a rotation, of every algorithm or of one.
func (c *keysRotate) Run(i *invocation) error {
	algs := keys.Kinds()
	if c.Alg != "" {
		if !slices.Contains(algs, c.Alg) {
			return usageError{fmt.Sprintf("there is no algorithm %q; there are: %s", c.Alg, strings.Join(algs, ", "))}
		}
		algs = []string{c.Alg}
	}
	return i.with(func(ctx context.Context, v *services) error {
		list := []keys.Key{}
		for _, alg := range algs {
			k, err := v.signing.Rotate(ctx, operator(), alg)
			if err != nil {
				return err
			}
			list = append(list, k)
		}
		return i.print(list, keyLines(list)...)
	})
}

type keysRevoke struct {
	Kid string `arg:"" help:"The key's id."`
}

// Run withdraws a key.
func (c *keysRevoke) Run(i *invocation) error {
	return i.with(func(ctx context.Context, v *services) error {
		if err := v.signing.Revoke(ctx, operator(), c.Kid); err != nil {
			return err
		}
		return i.print(map[string]string{"revoked": c.Kid}, "Revoked "+c.Kid+": what it signed is worthless from now on, and what was encrypted to it opens no more.")
	})
}

type keysRewrap struct{}

// Run seals the keys again.
func (*keysRewrap) Run(i *invocation) error {
	return i.with(func(ctx context.Context, v *services) error {
		changed, total, err := v.signing.Rewrap(ctx, operator())
		if err != nil {
			return err
		}
		return i.print(map[string]int{"changed": changed, "total": total}, fmt.Sprintf("%d of %d keys sealed again.", changed, total))
	})
}

type auditCommands struct {
	Verify auditVerify `cmd:"" help:"Walk the chain and hold it against the signed checkpoints."`
	Export auditExport `cmd:"" help:"Write the chained events as JSON lines."`
	Anchor auditAnchor `cmd:"" help:"Sign a checkpoint now."`
}

type auditVerify struct{}

// Run verifies; a broken chain is an answer, and exit 1.
func (*auditVerify) Run(i *invocation) error {
	return i.with(func(ctx context.Context, v *services) error {
		r, err := v.audit.Verify(ctx)
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%d events are whole, %d not chained yet, %d checkpoints match.", r.Events, r.Unchained, r.Checkpoints)
		if r.Finding == nil {
			return i.print(r, line)
		}
		broken := fmt.Sprintf("the audit chain is broken at event %d: %s", r.Finding.Seq, r.Finding.Kind)
		if err := i.print(r, line, broken); err != nil {
			return err
		}
		return finding{broken}
	})
}

type auditExport struct{}

// Run exports, and records that it did.
func (*auditExport) Run(i *invocation) error {
	return i.with(func(ctx context.Context, v *services) error {
		n, err := i.events(func(out io.Writer) (int64, error) { return v.audit.Export(ctx, out) })
		if err != nil {
			return err
		}
		return v.db.InTx(ctx, func(ctx context.Context) error {
			return v.audit.Record(ctx, audit.Event{
				Type: audit.AuditExported, Outcome: audit.Succeeded, Actor: operator(),
				Details: map[string]string{"count": strconv.FormatInt(n, 10)},
			})
		})
	})
}

// events writes one event a line; with --json the lines are the members of one
// array, written as they come, since a log may be larger than memory.
func (i *invocation) events(export func(io.Writer) (int64, error)) (int64, error) {
	if !i.json {
		return export(i.out)
	}
	list := &array{out: i.out}
	n, err := export(list)
	if err != nil {
		return n, err
	}
	if list.members == 0 {
		_, err = io.WriteString(i.out, "[")
	}
	_, end := io.WriteString(i.out, "]\n")
	return n, errors.Join(err, end)
}

// array puts what separates an array's members before each write.
type array struct {
	out     io.Writer
	members int
}

func (a *array) Write(p []byte) (int, error) {
	before := ","
	if a.members == 0 {
		before = "["
	}
	a.members++
	if _, err := io.WriteString(a.out, before); err != nil {
		return 0, err
	}
	return a.out.Write(p)
}

type auditAnchor struct{}

// Run chains what is not yet, and signs.
func (*auditAnchor) Run(i *invocation) error {
	return i.with(func(ctx context.Context, v *services) error {
		c, err := v.audit.Settle(ctx)
		if err != nil {
			return err
		}
		if c == nil {
			return i.print(map[string]any{"checkpoint": nil}, "Nothing new to sign.")
		}
		return i.print(map[string]any{"checkpoint": c}, fmt.Sprintf("Signed event %d.", c.Seq))
	})
}

type policyCommands struct {
	Show    policyShow    `cmd:"" help:"Every parameter in force, and where it comes from."`
	Measure policyMeasure `cmd:"" help:"What a PIN hash costs here, at which setting."`
}

type policyShow struct{}

// Run shows the policy.
func (*policyShow) Run(i *invocation) error {
	p, err := loadPolicy(i.settings)
	if err != nil {
		return err
	}
	type line struct {
		Key    string `json:"key"`
		Value  any    `json:"value"`
		Origin string `json:"origin"`
		Rule   string `json:"rule"`
	}
	list, lines := []line{}, []string{}
	for _, q := range p.parameters() {
		origin := "built-in"
		if o, ok := p.origins[q.key]; ok {
			origin = o
		}
		list = append(list, line{q.key, q.value(), origin, q.rule})
		lines = append(lines, fmt.Sprintf("%-32v %-12v %s (%s)", q.key, q.value(), origin, q.rule))
	}
	return i.print(list, lines...)
}

type policyMeasure struct{}

// Run measures what a PIN hash takes on this machine; it proposes and sets
// nothing, since the cost is one for the whole installation.
func (*policyMeasure) Run(i *invocation) error {
	type line struct {
		MemoryKiB    uint32  `json:"memory_kib"`
		Milliseconds float64 `json:"milliseconds"`
	}
	list, lines := []line{}, []string{}
	for _, memory := range []uint32{47104, 65536, 131072, 262144} {
		took := credentials.Measure(credentials.Cost{Memory: memory, Passes: 1, Threads: 1})
		l := line{memory, float64(took.Microseconds()) / 1000}
		list = append(list, l)
		lines = append(lines, fmt.Sprintf("hash.memory_kib %7d: %.1f ms", l.MemoryKiB, l.Milliseconds))
	}
	return i.print(list, lines...)
}
