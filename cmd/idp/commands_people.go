package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
)

type citizensCommands struct {
	Import citizensImport `cmd:"" help:"Import people from a CSV file; see docs/operations.md for its columns."`
	Show   citizensShow   `cmd:"" help:"Show one person, masked."`
}

type citizensImport struct {
	File    string `arg:"" help:"The CSV file, or - for standard input."`
	SkipBad bool   `help:"Import the good lines and leave the bad ones."`
}

// Run imports a file: all of it or, with a bad line, nothing.
func (c *citizensImport) Run(i *invocation) error {
	f, err := i.open(c.File)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return i.with(func(ctx context.Context, v *services) error {
		report, err := v.importPeople(ctx, f, citizens.ImportOptions{SkipBad: c.SkipBad})
		bad := errors.Is(err, citizens.ErrBadRows)
		if err != nil && !bad {
			return err
		}
		if err := c.answer(i, report, !bad); err != nil || len(report.Bad) == 0 {
			return err
		}
		if !bad {
			_, err = fmt.Fprintf(i.err, "idp: %d bad lines were left out\n", len(report.Bad))
			return err
		}
		return finding{fmt.Sprintf("%d bad lines: nothing was imported; mend them, or use --skip-bad", len(report.Bad))}
	})
}

// importPeople imports, with what follows from it in the same transaction: the
// record, and the end of what a dead person's PIN had opened.
func (v *services) importPeople(ctx context.Context, f io.Reader, o citizens.ImportOptions) (citizens.ImportReport, error) {
	o.Deceased = v.pins.Bereave
	o.Record = func(ctx context.Context, r citizens.ImportReport) error {
		return v.audit.Record(ctx, audit.Event{
			Type: audit.CitizensImported, Outcome: audit.Succeeded, Actor: operator(),
			Details: map[string]string{"imported": strconv.Itoa(r.Imported), "updated": strconv.Itoa(r.Updated)},
		})
	}
	return v.citizens.Import(ctx, f, o)
}

func (c *citizensImport) answer(i *invocation, report citizens.ImportReport, done bool) error {
	lines := []string{}
	for _, b := range report.Bad {
		lines = append(lines, fmt.Sprintf("line %d: %s", b.Line, b.Reason))
	}
	if done {
		lines = append(lines, fmt.Sprintf("%d imported, %d updated.", report.Imported, report.Updated))
	}
	return i.print(report, lines...)
}

type citizensShow struct {
	CF     string `arg:"" name:"cf" help:"The codice fiscale."`
	Reveal bool   `help:"Show everything in clear; the audit says who asked."`
}

// Run shows one person. Reading is recorded, revealed or not.
func (c *citizensShow) Run(i *invocation) error {
	fc, err := parseCF(c.CF)
	if err != nil {
		return err
	}
	return i.with(func(ctx context.Context, v *services) error {
		person, err := v.citizens.ByFiscalCode(ctx, fc)
		if err != nil {
			return err
		}
		err = v.db.InTx(ctx, func(ctx context.Context) error {
			return v.audit.Record(ctx, audit.Event{
				Type: audit.CitizenRead, Outcome: audit.Succeeded, Actor: operator(), Subject: person.ID,
				Details: map[string]string{"revealed": strconv.FormatBool(c.Reveal)},
			})
		})
		if err != nil {
			return err
		}
		doc, lines := map[string]string{}, []string{}
		for _, column := range person.Columns(c.Reveal) {
			doc[column.Name] = column.Value
			lines = append(lines, fmt.Sprintf("%-22s %s", column.Name, column.Value))
		}
		return i.print(doc, lines...)
	})
}

// parseCF reads an argument; its error does not repeat it.
func parseCF(text string) (citizens.FiscalCode, error) {
	fc, err := citizens.ParseFiscalCode(text)
	if err != nil {
		return fc, fmt.Errorf("the codice fiscale cannot be read: %w", err)
	}
	return fc, nil
}

type pinsCommands struct {
	Issue   pinsIssue   `cmd:"" help:"Enrol somebody on the institution's behalf: two halves leave by two channels."`
	Status  pinsStatus  `cmd:"" help:"Say in which state somebody's PIN is."`
	Suspend pinsSuspend `cmd:"" help:"Stop a PIN until it is resumed; sessions and grants end."`
	Resume  pinsResume  `cmd:"" help:"Let a suspended PIN work again."`
	Revoke  pinsRevoke  `cmd:"" help:"End a PIN for good; sessions and grants end."`
}

type pinsIssue struct {
	CF   string `arg:"" name:"cf" help:"The codice fiscale."`
	Kind string `help:"ordinario or dispositivo." default:"ordinario" enum:"ordinario,dispositivo"`
}

// Run makes a PIN and queues its halves; serve delivers them.
func (c *pinsIssue) Run(i *invocation) error {
	return i.pin(c.CF, func(ctx context.Context, v *services, fc citizens.FiscalCode) error {
		if err := v.pins.Issue(ctx, operator(), fc, credentials.Kind(c.Kind)); err != nil {
			return err
		}
		return i.status(ctx, v, fc, "A PIN was made. Its two halves leave as soon as idp serve delivers them.")
	})
}

type pinsStatus struct {
	CF string `arg:"" name:"cf" help:"The codice fiscale."`
}

// Run says the state.
func (c *pinsStatus) Run(i *invocation) error {
	return i.pin(c.CF, func(ctx context.Context, v *services, fc citizens.FiscalCode) error {
		return i.status(ctx, v, fc)
	})
}

// reasoned is what a change by hand needs for the audit.
type reasoned struct {
	CF     string `arg:"" name:"cf" help:"The codice fiscale."`
	Reason string `help:"Why, for the audit." default:"asked by the institution"`
}

type pinsSuspend struct {
	reasoned
}

// Run suspends.
func (c *pinsSuspend) Run(i *invocation) error {
	return i.pin(c.CF, func(ctx context.Context, v *services, fc citizens.FiscalCode) error {
		if err := v.pins.Suspend(ctx, operator(), fc, c.Reason); err != nil {
			return err
		}
		return i.status(ctx, v, fc)
	})
}

type pinsResume struct {
	reasoned
}

// Run resumes.
func (c *pinsResume) Run(i *invocation) error {
	return i.pin(c.CF, func(ctx context.Context, v *services, fc citizens.FiscalCode) error {
		if err := v.pins.Resume(ctx, operator(), fc, c.Reason); err != nil {
			return err
		}
		return i.status(ctx, v, fc)
	})
}

type pinsRevoke struct {
	reasoned
}

// Run revokes.
func (c *pinsRevoke) Run(i *invocation) error {
	return i.pin(c.CF, func(ctx context.Context, v *services, fc citizens.FiscalCode) error {
		if err := v.pins.Revoke(ctx, operator(), fc, c.Reason); err != nil {
			return err
		}
		return i.status(ctx, v, fc)
	})
}

func (i *invocation) pin(cf string, do func(ctx context.Context, v *services, fc citizens.FiscalCode) error) error {
	fc, err := parseCF(cf)
	if err != nil {
		return err
	}
	return i.with(func(ctx context.Context, v *services) error {
		err := do(ctx, v, fc)
		if errors.Is(err, citizens.ErrUnknown) {
			return errors.New("nobody with that codice fiscale is in the registry")
		}
		return err
	})
}

// status answers with the state that somebody's PIN is in now.
func (i *invocation) status(ctx context.Context, v *services, fc citizens.FiscalCode, lines ...string) error {
	s, err := v.pins.Status(ctx, fc)
	if err != nil {
		return err
	}
	kind := any(s.Kind)
	if s.Kind == "" {
		kind = nil
	}
	doc := map[string]any{
		"state": s.State, "kind": kind, "changed_at": s.ChangedAt, "due_at": s.DueAt, "waiting_until": s.WaitingUntil,
	}
	words := []string{"state: " + string(s.State)}
	if s.Kind != "" {
		words = append(words, "kind: "+string(s.Kind))
	}
	for _, one := range []struct {
		name string
		at   *time.Time
	}{{"changed", s.ChangedAt}, {"due", s.DueAt}, {"ends", s.DismissalAt}, {"waiting until", s.WaitingUntil}} {
		if one.at != nil {
			words = append(words, one.name+": "+one.at.Format(time.RFC3339))
		}
	}
	return i.print(doc, append(lines, strings.Join(words, ", "))...)
}
