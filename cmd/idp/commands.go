package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"runtime/debug"
	"strings"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/migrations"
	"ente.example/idp/secrets"
)

// with wires the services for a command and closes them after it. Commands
// write no log.
func (i *invocation) with(do func(ctx context.Context, v *services) error) error {
	return i.wired(options{logger: discard(), open: openDatabase}, do)
}

func (i *invocation) wired(o options, do func(ctx context.Context, v *services) error) error {
	v, err := wire(i.ctx, i.settings, o)
	if err != nil {
		return err
	}
	return errors.Join(do(i.ctx, v), v.close())
}

// operator is who runs a command: the account on this machine.
func operator() audit.Actor {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return audit.Actor{Kind: audit.Operator, ID: name}
}

// open reads a file, or standard input for "-" and for nothing.
func (i *invocation) open(name string) (io.ReadCloser, error) {
	if name == "" || name == "-" {
		return io.NopCloser(i.in), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return f, nil
}

type secretsCommands struct {
	Init secretsInit `cmd:"" help:"Make the key files in a folder that does not exist yet."`
}

type secretsInit struct {
	Dir string `arg:"" help:"The folder to make."`
}

// Run makes the key files.
func (c *secretsInit) Run(i *invocation) error {
	if err := secrets.Init(c.Dir); err != nil {
		return err
	}
	return i.print(map[string]string{"secrets_dir": c.Dir},
		"Keys made in "+c.Dir+".", "Keep a copy apart from the database and its backups: without them nobody's PIN can be checked.")
}

type migrateCommands struct {
	Up     migrateUp     `cmd:"" help:"Apply what is missing."`
	Status migrateStatus `cmd:"" help:"List every migration and whether it is applied."`
}

type migrateUp struct{}

// Run applies the migrations that are missing.
func (*migrateUp) Run(i *invocation) error {
	db, err := openDatabase(i.ctx, i.settings.DatabaseURL)
	if err != nil {
		return err
	}
	applied, err := migrations.Up(i.ctx, db)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	lines := append([]string{fmt.Sprintf("%d migrations applied.", len(applied))}, applied...)
	return i.print(map[string]any{"applied": notNil(applied)}, lines...)
}

type migrateStatus struct{}

// Run lists the migrations.
func (*migrateStatus) Run(i *invocation) error {
	db, err := openDatabase(i.ctx, i.settings.DatabaseURL)
	if err != nil {
		return err
	}
	list, err := migrations.Status(i.ctx, db)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	var lines []string
	for _, m := range list {
		state := "pending"
		if m.Applied {
			state = "applied"
		}
		lines = append(lines, fmt.Sprintf("%-8s %s", state, m.Name))
	}
	return i.print(list, lines...)
}

type healthcheckCommand struct{}

// Run asks the administration listener of a serve on this machine.
func (*healthcheckCommand) Run(i *invocation) error {
	ctx, cancel := context.WithTimeout(i.ctx, 5*time.Second)
	defer cancel()
	host, port, err := net.SplitHostPort(i.settings.AdminListen)
	if err != nil {
		return fmt.Errorf("admin-listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("admin-listen: %w", err)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return errors.New("not reachable: no idp serve answers on " + i.settings.AdminListen)
	}
	defer func() { _ = a.Body.Close() }()
	var doc map[string]string
	if err := json.NewDecoder(io.LimitReader(a.Body, 1<<16)).Decode(&doc); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", doc["reason"])
	}
	return i.print(doc, doc["status"])
}

type versionCommand struct{}

type versionInfo struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	Commit  string `json:"commit,omitempty"`
	Tags    string `json:"tags,omitempty"` // of the build: bench keeps PINs without Argon2id
}

// version is read from what the compiler wrote into the program.
func version() versionInfo {
	v := versionInfo{Version: "development"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	v.Go = info.GoVersion
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "-tags":
			v.Tags = s.Value
		}
	}
	return v
}

// Run prints the version.
func (*versionCommand) Run(i *invocation) error {
	v := version()
	words := []string{"idp", v.Version, v.Go}
	if v.Commit != "" {
		words = append(words, v.Commit)
	}
	if v.Tags != "" {
		words = append(words, "tags="+v.Tags)
	}
	return i.print(v, strings.Join(words, " "))
}

// notNil makes an empty list print as [] and not as null.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// discard is the log of a command.
func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
