package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"ente.example/idp/bench/driver"
	"ente.example/idp/bench/meter"
)

// ours is this program: built with the tag bench, so that a sign-in is measured
// without the hash of its PIN, and otherwise as it is run in production.
type ours struct {
	*server
	way
	dir, program string
	environ      []string
}

// way is how the program is run, where it is not as by default.
type way struct {
	name     string
	nodes    int      // so many on one database; 0 is one
	pinned   bool     // each node has one processor
	flags    []string // of serve
	policy   string   // IDP_POLICY_FILE's text
	postgres []string // settings of PostgreSQL beside the usual
}

// afterwork is how long our audit may take to chain what a load has left.
const afterwork = 1200 * time.Millisecond

// startOurs installs the program on a database and lets people in.
func startOurs(ctx context.Context, w way, program, dir string, database *meter.Postgres, people []citizen) (*server, error) {
	o := &ours{server: &server{name: w.name, database: database, settle: afterwork}, way: w, dir: dir, program: program}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"install", o.install}, {"register with", o.register},
		{"enrol with", func(ctx context.Context) error { return o.enrol(ctx, people) }},
		{"add nodes to", o.grow}, {"reach", o.connect},
	} {
		if err := step.do(ctx); err != nil {
			return o.server, fmt.Errorf("%s %s: %w", step.name, w.name, err)
		}
	}
	return o.server, nil
}

func (o *ours) install(ctx context.Context) error {
	listen, err := freeAddress()
	if err != nil {
		return err
	}
	admin, err := freeAddress()
	if err != nil {
		return err
	}
	o.admin = "http://" + admin
	url := "sqlite:" + filepath.Join(o.dir, "idp.db")
	if o.database != nil {
		url = o.database.URL()
	}
	o.target = driver.Target{Issuer: "http://" + listen, Redirect: redirect, Scope: scope}
	o.environ = []string{
		"IDP_ISSUER=" + o.target.Issuer, "IDP_LISTEN=" + listen, "IDP_ADMIN_LISTEN=" + admin, "IDP_DATABASE_URL=" + url,
		"IDP_SECRETS_DIR=" + filepath.Join(o.dir, "secrets"), "IDP_OUTBOX_DIR=" + filepath.Join(o.dir, "outbox"), "IDP_ELIGIBILITY=open",
	}
	if o.policy != "" {
		file := filepath.Join(o.dir, "policy.json")
		o.environ = append(o.environ, "IDP_POLICY_FILE="+file)
		if err := os.WriteFile(file, []byte(o.policy), 0o600); err != nil {
			return err
		}
	}
	if _, err := o.command(ctx, nil, "secrets", "init", filepath.Join(o.dir, "secrets")); err != nil {
		return err
	}
	return o.serve(ctx, o.dir, listen, admin, append([]string{"--migrate"}, o.flags...)...)
}

// serve starts a node and waits until it is ready.
func (o *ours) serve(ctx context.Context, dir, listen, admin string, flags ...string) error {
	program, args := o.program, append([]string{"serve"}, flags...)
	if o.pinned {
		args = append([]string{"-c", strconv.Itoa(len(o.server.nodes) % runtime.NumCPU()), program}, args...)
		program = "taskset"
	}
	o.target.Nodes = append(o.target.Nodes, listen)
	if err := o.run(ctx, dir, program, args, append(slices.Clone(o.environ), "IDP_LISTEN="+listen, "IDP_ADMIN_LISTEN="+admin)...); err != nil {
		return err
	}
	return await(ctx, "http://"+admin+"/readyz")
}

// grow starts the nodes beside the first.
func (o *ours) grow(ctx context.Context) error {
	for n := 1; n < o.way.nodes; n++ {
		dir := filepath.Join(o.dir, fmt.Sprintf("node-%d", n))
		listen, err1 := freeAddress()
		admin, err2 := freeAddress()
		if err := errors.Join(err1, err2, os.Mkdir(dir, 0o700)); err != nil {
			return err
		}
		if err := o.serve(ctx, dir, listen, admin, o.flags...); err != nil {
			return err
		}
	}
	return nil
}

// command runs idp beside the server.
func (o *ours) command(ctx context.Context, in []byte, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, o.program, args...)
	c.Dir, c.Env, c.Stdin = o.dir, append([]string{"HOME=" + o.dir}, o.environ...), bytes.NewReader(in)
	var out, problem bytes.Buffer
	c.Stdout, c.Stderr = &out, &problem
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("idp %s: %w: %s", strings.Join(args[:min(2, len(args))], " "), err, &problem)
	}
	return out.Bytes(), nil
}

// register adds the services.
func (o *ours) register(ctx context.Context) error {
	for _, one := range []struct {
		consent, alg string
		client       *driver.Client
	}{{"always", "ES256", &o.target.Client}, {"remember", "ES256", &o.target.Kept}, {"remember", "RS256", &o.target.RS256}} {
		doc, err := json.Marshal(map[string]any{
			"client_name": "Bench " + one.consent + " " + one.alg, "redirect_uris": []string{o.target.Redirect}, "consent": one.consent, "may_introspect": true,
			"grant_types": []string{"authorization_code", "refresh_token", "client_credentials"}, "scope": scope,
			"id_token_signed_response_alg": one.alg,
		})
		if err != nil {
			return err
		}
		out, err := o.command(ctx, doc, "clients", "add", "--json", "-")
		if err != nil {
			return err
		}
		if err := json.Unmarshal(out, one.client); err != nil {
			return err
		}
		one.client.Alg = one.alg
	}
	return nil
}

// enrol imports people, has a PIN sent to each, and changes it at the first
// sign-in, as it must be.
func (o *ours) enrol(ctx context.Context, people []citizen) error {
	if _, err := o.command(ctx, table(people), "citizens", "import", "-"); err != nil {
		return err
	}
	for _, p := range people {
		if _, err := o.command(ctx, nil, "pins", "issue", p.Code); err != nil {
			return err
		}
	}
	first, err := o.halves(ctx, people)
	if err != nil {
		return err
	}
	if err := o.connect(ctx); err != nil {
		return err
	}
	defer o.driver.Close()
	for _, p := range people {
		person := driver.Person{"fiscal_code": p.Code, "pin": first[p.Mobile], "answer": "allow", "remember": "yes"}
		if err := o.driver.FirstAccess(ctx, person, changePIN); err != nil {
			return err
		}
		person["pin"] = person["new_pin"]
		for _, field := range []string{"new_pin", "old_pin", "action"} {
			delete(person, field)
		}
		o.target.People = append(o.target.People, person)
	}
	return nil
}

// changePIN copies the new PIN that a page shows.
func changePIN(b *driver.Browser, p driver.Person) {
	if text := b.Text("new-pin"); text != "" {
		p["new_pin"], p["old_pin"], p["action"] = strings.ReplaceAll(text, " ", ""), p["pin"], "confirm"
	}
}

// halves waits until every message has left, and puts the PINs together, by
// mobile number.
func (o *ours) halves(ctx context.Context, people []citizen) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		pins, err := readOutbox(filepath.Join(o.dir, "outbox"))
		if err != nil || len(pins) >= len(people) {
			return pins, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d PINs have left: %w", len(pins), len(people), ctx.Err())
		case <-t.C:
		}
	}
}

// half is what stands alone on its line in a message.
var half = regexp.MustCompile(`(?m)^\s*([0-9]{4} ?[0-9]{4})\s*$`)

// readOutbox are the PINs of which both halves are there.
func readOutbox(dir string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil {
		return nil, err
	}
	halves, mobile := map[string]string{}, map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		m, err := mail.ReadMessage(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		who, key := m.Header.Get("X-Citizen"), m.Header.Get("X-Message")
		if !strings.HasPrefix(key, "pin-half-") {
			continue
		}
		found := half.FindSubmatch(b)
		if found == nil {
			return nil, fmt.Errorf("no half of a PIN in %s", filepath.Base(f))
		}
		halves[who+key] = strings.ReplaceAll(string(found[1]), " ", "")
		if key == "pin-half-1" {
			mobile[who] = m.Header.Get("To")
		}
	}
	pins := map[string]string{}
	for who, number := range mobile {
		if second := halves[who+"pin-half-2"]; second != "" {
			pins[number] = halves[who+"pin-half-1"] + second
		}
	}
	return pins, nil
}
