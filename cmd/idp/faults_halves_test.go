package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ente.example/idp/credentials"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/delivery/deliverytest"
)

// chain is an installation whose node dies, again and again, when half a PIN is
// in the hands of a gateway and nobody has written that down.
type chain struct {
	*terminal
	g    *transports
	v    *services // beside the node, on the same database
	logs []*logBuffer

	mu   sync.Mutex
	node *process
	left int // deaths to come
	seen map[string]bool
	died chan struct{}
}

func newChain(t *testing.T, url string) *chain {
	t.Helper()
	g := newTransports(t)
	s := newTerminal(t, url)
	tmp := filepath.Join(s.dir, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	delete(s.environ, "IDP_OUTBOX_DIR")
	for name, value := range g.settings(settings{}).environment() {
		s.environ[name] = value
	}
	s = s.with("IDP_ELIGIBILITY", "open", "IDP_CAPTCHA", "none", "IDP_ISSUER", "http://localhost:8080", "SSL_CERT_FILE", g.caFile, "TMPDIR", tmp)
	c := &chain{terminal: s, g: g, v: s.services(), seen: map[string]bool{}, died: make(chan struct{}, 100)}
	g.sms.Before = func(m deliverytest.Text) { c.took(m.ID, m.Text) }
	g.mail.Data = func(m deliverytest.Mail) error { c.took(m.To+string(m.Raw), string(m.Raw)); return nil }
	g.pec.Data = func(m deliverytest.Mail) error { c.took(m.To+string(m.Raw), string(m.Raw)); return g.certify(m) }
	return c
}

// took is the moment between hand-over and record.
func (c *chain) took(id, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 || c.node == nil || c.seen[id] || !strings.Contains(text, "parte del") {
		return
	}
	c.seen[id] = true
	c.kill()
}

// kill is called with the lock.
func (c *chain) kill() {
	_ = c.node.cmd.Process.Kill()
	c.node, c.left = nil, c.left-1
	c.died <- struct{}{}
}

// watch is the same moment of the post: a letter lies in the folder.
func (c *chain) watch(ctx context.Context) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		files, _ := filepath.Glob(filepath.Join(c.g.post.Dir, "*.age"))
		for _, f := range files {
			c.took(f, "parte del")
		}
		<-tick.C
	}
}

// serves starts a node. What it hands over before it says that it serves waits
// until there is somebody to kill.
func (c *chain) serves(args ...string) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.node = c.process(args...)
	c.logs = append(c.logs, c.node.log)
}

// rests ends the node as a power cut would.
func (c *chain) rests() {
	c.mu.Lock()
	p := c.node
	c.node = nil
	c.mu.Unlock()
	if p != nil {
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// passes lets the time pass after which what a dead node had claimed is free.
func (c *chain) passes() {
	c.t.Helper()
	for _, q := range []string{
		`UPDATE deliveries SET leased_till = NULL, next_at = created_at WHERE state = 'queued'`,
		`UPDATE enrolments SET next_at = created_at WHERE state = 'checking'`,
	} {
		if err := c.v.db.Write(c.t.Context()).Exec(q).Error; err != nil {
			c.t.Fatal(err)
		}
	}
}

// survives lets a node with all its workers die so many times, starting it
// again, until done says that everything has happened.
func (c *chain) survives(deaths int, done func() bool) {
	c.t.Helper()
	c.mu.Lock()
	c.left = deaths
	c.mu.Unlock()
	c.passes()
	died := 0
	c.serves()
	eventually(c.t, time.Minute, "everything has happened after some deaths", func() bool {
		select {
		case <-c.died:
			died++
			c.passes()
			c.serves()
		default:
		}
		return done()
	})
	if died != deaths {
		c.t.Errorf("the node died %d times, want %d", died, deaths)
	}
	c.mu.Lock()
	c.left = 0
	c.mu.Unlock()
	c.rests()
}

func (c *chain) visitor() *visitor {
	c.t.Helper()
	v := newVisitor(c.t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	v.http = &http.Client{Jar: jar, Transport: newTurns(c.node.address)}
	return v
}

func (c *chain) issued(codes []string) bool {
	for _, cf := range codes {
		fc, err := parseCF(cf)
		if err != nil {
			c.t.Fatal(err)
		}
		s, err := c.v.pins.Status(c.t.Context(), fc)
		if err != nil || s.State != credentials.Issued {
			return false
		}
	}
	return true
}

// P12: a node that dies between the making of a PIN and its hand-over loses no
// half, sends none to two places, and leaves nothing readable behind: not in the
// database, its log of writes, the program's log or its folder for temporary
// files.
func TestP12NoHalfIsLostWhenNodesDie(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) string{"sqlite": databasetest.SQLite, "postgres": databasetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := open(t)
			c := newChain(t, url)
			ctx, stop := context.WithCancel(t.Context())
			t.Cleanup(stop)
			go c.watch(ctx)
			secrets := c.enrols()
			secrets = append(secrets, c.recovers()...)
			c.serves() // so that files are open, and the log of writes is full
			c.leavesNothing(url, secrets)
			c.rests()
		})
	}
}

func (c *chain) pin(text string) credentials.PIN {
	c.t.Helper()
	pin, err := credentials.ParsePIN(text)
	if err != nil {
		c.t.Fatal(err)
	}
	return pin
}

// applicant is somebody who asks for a PIN, with what arrives for her.
type applicant struct {
	cf       string
	contact  *inbox
	letters  *inbox
	tracking string
}

// enrols takes some people through their requests, and returns every secret.
func (c *chain) enrols() (secrets []string) {
	c.t.Helper()
	people, codes := c.apply(), []string{}
	for _, p := range people {
		secrets = append(secrets, code(c.t, p.contact.next(p.tracking)))
		codes = append(codes, p.cf)
	}
	c.rests()
	c.serves("--workers=none")
	for i, p := range people {
		c.visitor().open("http://localhost:8080/pin/request/confirm").submit(map[string]string{"tracking_code": p.tracking, "code": secrets[i]}).on("done")
		secrets = append(secrets, p.tracking, strings.ReplaceAll(p.tracking, "-", ""))
	}
	c.rests()
	c.survives(4, func() bool { return c.issued(codes) })
	for _, p := range people {
		first, second := c.once(p.contact, "prima parte"), c.once(p.letters, "seconda parte")
		c.good(p.cf, first+second)
		secrets = append(secrets, first, second, first+second)
	}
	return secrets
}

// once is the half in a message, of which there may be copies and nothing else.
func (c *chain) once(box *inbox, words string) string {
	c.t.Helper()
	all := box.all(words)
	if len(all) != 1 {
		c.t.Fatalf("%d different messages with %s in %s, want one and its copies", len(all), words, box.where)
	}
	half := code(c.t, all[0])
	places := map[string]bool{}
	for _, m := range c.g.sms.Texts() {
		if strings.Contains(m.Text, half) {
			places["sms "+m.To] = true
		}
	}
	for channel, server := range map[string]*deliverytest.MailServer{"email ": c.g.mail, "pec ": c.g.pec} {
		for _, m := range server.Taken() {
			if strings.Contains(string(m.Raw), half) {
				places[channel+m.To] = true
			}
		}
	}
	for _, l := range c.g.post.Letters() {
		if strings.Contains(strings.ReplaceAll(l.Text, " ", ""), half) {
			places["letter"] = true
		}
	}
	if len(places) != 1 {
		c.t.Errorf("half a PIN went to %d places", len(places))
	}
	return half
}

func (c *chain) good(cf, pin string) {
	c.t.Helper()
	fc, err := parseCF(cf)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.v.pins.Verify(c.t.Context(), operator(), fc, c.pin(pin)); err != nil {
		c.t.Errorf("the halves together: %v", err)
	}
}

// asking are people who ask for a PIN: what a codice fiscale says of them.
type asking struct{ cf, given, family, born, place string }

// apply sends the requests of four people, with each way for the first half,
// through the pages of a node.
func (c *chain) apply() (people []*applicant) {
	c.t.Helper()
	list := []asking{
		{"RSSMRA80A01H501U", "Mario", "Rossi", "01/01/1980", "H501"}, {"RSSFNC80T31F205U", "Franco", "Rossi", "31/12/1980", "F205"},
		{"DMCGFR85M09G273S", "Gianfranco", "D'Amico", "09/08/1985", "G273"}, {"PPSNIO90R10Z129Z", "Ion", "Popescu", "10/10/1990", "Z129"},
	}
	csv := peopleHeader + anna
	for i, p := range list {
		csv += fmt.Sprintf("%s,%s,%s,M,,,Via Appia Nuova %d,00183,Roma,RM,IT,no,citizen,,,,,,\n", p.cf, p.given, p.family, i+1)
	}
	c.done("citizens", "import", c.file("people.csv", csv))
	c.serves()
	for i, p := range list {
		people = append(people, c.applies(i, p))
	}
	return people
}

func (c *chain) applies(i int, p asking) *applicant {
	c.t.Helper()
	number, email, pec := fmt.Sprintf("+39333000000%d", i), fmt.Sprintf("p%d@posta.example", i), fmt.Sprintf("p%d@pec.example", i)
	form := map[string]string{
		"fiscal_code": p.cf, "given_name": p.given, "family_name": p.family, "sex": "M", "birth_date": p.born, "birth_place": p.place,
		"residence_street": fmt.Sprintf("Via Appia Nuova %d", i+1), "residence_postal_code": "00183", "residence_locality": "Roma", "residence_country": "IT",
		"phone": "06 1234567", "call_slot": "any", "mobile": number, "email": email, "pec": pec,
		"first_half_channel": []string{"sms", "email", "pec"}[i%3], "accept_terms": "yes",
	}
	v := c.visitor().open("http://localhost:8080/pin/request")
	for range 3 {
		v.on("pin-request").submit(form, "action", "next")
	}
	v.submit(form, "action", "send").on("neutral")
	box := []*inbox{c.g.phone(number), c.g.mailbox(email), c.g.certified(pec)}[i%3]
	return &applicant{cf: p.cf, contact: box, letters: c.g.letterbox(p.given + " " + p.family), tracking: tracked.FindString(v.byID("tracking-code"))}
}

// recovers gives somebody a PIN, has her recover it, and returns every secret.
func (c *chain) recovers() (secrets []string) {
	c.t.Helper()
	phone, mail := c.g.phone("+393331234567"), c.g.mailbox("anna.bianchi@posta.example")
	if err := c.v.issue(c.t.Context(), regular); err != nil {
		c.t.Fatal(err)
	}
	c.survives(2, func() bool { return c.issued([]string{regular}) })
	first, second := c.once(phone, "prima parte"), c.once(c.g.letterbox("Anna Maria Bianchi"), "seconda parte")
	old := c.firstAccess(c.v, regular, c.pin(first+second))
	secrets = append(secrets, first, second, first+second, old)
	c.serves()
	c.visitor().open("http://localhost:8080/pin/recover").submit(map[string]string{
		"fiscal_code": regular, "mobile": "+393331234567", "email": "anna.bianchi@posta.example",
	}).on("neutral")
	text := mail.next("codice per recuperare")
	c.rests()
	c.serves("--workers=none")
	c.visitor().open(link(c.t, text)).submit(map[string]string{"fiscal_code": regular, "code": code(c.t, text)}).on("done")
	c.rests()
	c.survives(2, func() bool { return c.issued([]string{regular}) })
	one, two := c.once(phone, "prima parte del tuo nuovo"), c.once(mail, "seconda parte del nuovo")
	c.good(regular, one+two)
	token := link(c.t, text)
	return append(secrets, code(c.t, text), token[strings.Index(token, "t=")+2:], one, two, one+two)
}

// stamps are times and durations in the log: digits that mean nothing.
var stamps = regexp.MustCompile(`"(time|duration|took)":("[^"]*"|[0-9.e+-]+)`)

// leavesNothing looks for every secret, in the writings that would still be
// readable, wherever the program has written.
func (c *chain) leavesNothing(url string, secrets []string) {
	c.t.Helper()
	places := map[string]string{"the database's rows": c.everyRow()}
	for i, l := range c.logs {
		places[fmt.Sprintf("the log of node %d", i)] = stamps.ReplaceAllString(l.String(), "")
	}
	folders := []string{c.dir, c.g.post.Dir}
	if file, ok := strings.CutPrefix(url, "sqlite:"); ok {
		folders = append(folders, filepath.Dir(file))
	}
	wal := false
	for _, dir := range folders {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			places[path], wal = string(b), wal || strings.HasSuffix(path, "-wal") && len(b) > 0
			return err
		})
		if err != nil {
			c.t.Fatal(err)
		}
	}
	if strings.HasPrefix(url, "sqlite:") && !wal {
		c.t.Error("there was no log of writes to look into")
	}
	for _, secret := range secrets {
		for how, text := range writings(secret) {
			for place, content := range places {
				if strings.Contains(content, text) {
					c.t.Errorf("%s has a secret of %d characters, %s", place, len(secret), how)
				}
			}
		}
	}
	// an address stands in the clear: who does not find it does not look
	path := strings.TrimPrefix(url, "sqlite:")
	if !strings.Contains(places[path]+places[path+"-wal"]+places["the database's rows"], "Via Appia Nuova 1") {
		c.t.Error("the database was not read")
	}
	if len(secrets) < 20 {
		c.t.Errorf("%d secrets were looked for, want more", len(secrets))
	}
}

func writings(secret string) map[string]string {
	reversed, wide := []byte(secret), []byte{}
	slices.Reverse(reversed)
	for i := range len(secret) {
		wide = append(wide, secret[i], 0)
	}
	return map[string]string{
		"as it is": secret, "backwards": string(reversed), "in base64": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
		"in hex": hex.EncodeToString([]byte(secret)), "in UTF-16": string(wide),
	}
}

// everyRow is the whole of a PostgreSQL database as text; SQLite is a file.
func (c *chain) everyRow() string {
	c.t.Helper()
	if c.v.db.Dialect() != database.Postgres {
		return ""
	}
	var tables, all []string
	read := func(into *[]string, query string) {
		if err := c.v.db.Read(c.t.Context()).Raw(query).Scan(into).Error; err != nil {
			c.t.Fatal(err)
		}
	}
	read(&tables, `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`)
	for _, table := range tables {
		var rows []string
		read(&rows, `SELECT CAST(t AS text) FROM `+table+` t`)
		all = append(all, rows...)
	}
	if len(all) < 50 {
		c.t.Errorf("%d rows in %d tables: not the whole database", len(all), len(tables))
	}
	return strings.Join(all, "\n")
}
