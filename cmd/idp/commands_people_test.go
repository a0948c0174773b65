package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/database/databasetest"
)

const peopleHeader = "fiscal_code,given_name,family_name,sex,birth_date,birth_place,residence_street,residence_postal_code,residence_locality," +
	"residence_region,residence_country,italian_document,category,health_card_number,health_card_expiry,mobile,email,pec,deceased_on\n"

// row is one line of a people file: who lives at that address and has those
// contacts.
func row(cf, home, document, contacts, deceased string) string {
	return cf + ",Mario,Rossi,,,," + home + "," + document + ",,,," + contacts + "," + deceased + "\n"
}

const (
	abroad = "Hauptstraße 1,80331,München,Bayern,DE"
	rome   = "Via Appia 1,00183,Roma,RM,IT"
	mobile = "+4915123456712,,"
)

// Contract §2: with a bad row nothing is imported; rows and reasons are the
// answer, one line sums them up.
func TestCitizensImportWithBadRows(t *testing.T) {
	terminals(t, func(s *terminal) {
		file := s.file("people.csv", peopleHeader+row(regular, abroad, "no", mobile, "")+row("RSSMRA80A01H501X", abroad, "no", mobile, "")+
			row(newcomer, abroad, "no", mobile, "")+row("PPSNIO90R10Z129Z", abroad, "perhaps", mobile, ""))
		o := s.run("citizens", "import", file)
		if o.code != exitRefused || !strings.HasPrefix(o.out, "line 3: ") || !strings.Contains(o.out, "\nline 5: ") || strings.Count(o.out, "\n") != 2 {
			s.t.Errorf("exit %d, stdout %q; want 1 and a line for 3 and for 5", o.code, o.out)
		}
		oneLine(s.t, o.err, "2 bad lines")
		if strings.Contains(o.out+o.err, "RSSMRA80A01H501X") {
			s.t.Error("a reason repeats a codice fiscale")
		}
		s.badRowsInJSON(file)
		s.refuses([]string{"unknown"}, "citizens", "show", regular)

		o = s.run("citizens", "import", "--skip-bad", file)
		if o.code != exitDone || !strings.Contains(o.out, "2 imported, 0 updated") || strings.Count(o.out, "line ") != 2 {
			s.t.Errorf("--skip-bad: exit %d, stdout %q", o.code, o.out)
		}
		oneLine(s.t, o.err, "2 bad lines")
		s.done("citizens", "show", regular)
		s.done("citizens", "show", newcomer)
		good := peopleHeader + row(regular, rome, "no", ",anna@posta.example,", "")
		if o := s.feed(good, "citizens", "import", "-", "--json"); o.code != exitDone || o.err != "" || !strings.Contains(o.out, `"updated": 1`) {
			s.t.Errorf("from standard input: exit %d, %s%s", o.code, o.out, o.err)
		}
		doc := s.doc("citizens", "show", regular, "--reveal")
		if doc["residence_country"] != "IT" || doc["email"] != "anna@posta.example" || doc["mobile"] != "+4915123456712" {
			s.t.Errorf("after an update: %v; want the new address and e-mail, the old number", doc)
		}
	})
}

func (s *terminal) badRowsInJSON(file string) {
	s.t.Helper()
	o := s.run("citizens", "import", file, "--json")
	var report struct {
		Imported, Updated int
		Bad               []struct {
			Line   int
			Reason string
		}
	}
	single(s.t, o.out, &report)
	oneLine(s.t, o.err)
	if o.code != exitRefused || report.Imported != 0 || report.Updated != 0 || len(report.Bad) != 2 ||
		report.Bad[0].Line != 3 || report.Bad[1].Line != 5 || report.Bad[0].Reason == "" {
		s.t.Errorf("exit %d, report %+v", o.code, report)
	}
}

// Contract §1: citizens show --json has the CSV's columns and id; reading is
// recorded, revealed or not.
func TestCitizensShow(t *testing.T) {
	terminals(t, func(s *terminal) {
		s.done("citizens", "import", s.file("people.csv", string(samplePeople)))
		masked, clear := s.doc("citizens", "show", strings.ToLower(regular)), s.doc("citizens", "show", "--reveal", regular)
		want := append(strings.Split(strings.TrimSpace(peopleHeader), ","), "id")
		for _, doc := range []map[string]any{masked, clear} {
			for _, name := range want {
				if _, ok := doc[name].(string); !ok {
					s.t.Errorf("no %s in %v", name, doc)
				}
			}
			if len(doc) != len(want) {
				s.t.Errorf("%d members, want %d", len(doc), len(want))
			}
		}
		for name, secret := range map[string]string{
			"fiscal_code": regular, "mobile": "+32470123456", "email": "anna.bianchi@posta.example", "pec": "anna.bianchi@pec.example",
		} {
			if clear[name] != secret {
				s.t.Errorf("revealed %s = %v, want %s", name, clear[name], secret)
			}
			if masked[name] == secret || masked[name] == "" {
				s.t.Errorf("masked %s = %q", name, masked[name])
			}
			if out := s.done("citizens", "show", regular); strings.Contains(out, secret) {
				s.t.Errorf("the masked answer holds the %s", name)
			}
		}
		s.done("audit", "anchor")
		revealed := map[string]int{}
		for _, e := range s.events("citizen.read") {
			details, _ := e["details"].(map[string]any)
			revealed[details["revealed"].(string)]++
			if e["subject"] != clear["id"] || e["actor_kind"] != "operator" {
				s.t.Errorf("event %v, want subject %s and an operator", e, clear["id"])
			}
		}
		if revealed["true"] != 1 || revealed["false"] != 5 {
			s.t.Errorf("readings recorded by revealed = %v, want 1 true and 5 false", revealed)
		}
	})
}

// events are the exported events of a type.
func (s *terminal) events(kind string) []map[string]any {
	s.t.Helper()
	var found []map[string]any
	for _, line := range s.list("audit", "export") {
		if e := line["event"].(map[string]any); e["type"] == kind {
			found = append(found, e)
		}
	}
	return found
}

// Contract §1: pins issue says why not.
func TestPinsIssueRefusals(t *testing.T) {
	terminals(t, func(s *terminal) {
		noAddress := completed(s.t, "VRDLGU85T10A562")
		people := map[string]struct{ setting, value, want string }{
			"RSSMRA80A01H501U": {want: "not eligible under IDP_ELIGIBILITY=current: residence_country is IT"},
			"BNCNMR72H55F839M": {want: "not eligible under IDP_ELIGIBILITY=current: italian_document is yes"},
			"PPSNIO90R10Z129Z": {want: "no contact for the first half: a mobile number, an e-mail or a PEC address is needed"},
			noAddress:          {want: "no postal address for the second half: street and locality are needed"},
			"MLLSNT82P65Z404U": {setting: "IDP_ELIGIBILITY", value: "open", want: "not eligible under IDP_ELIGIBILITY=open: deceased_on is 2024-01-31"},
			"RSSMRA85T10A562S": {want: "not eligible under IDP_ELIGIBILITY=current: residence_country is not known"},
		}
		s.done("citizens", "import", s.file("people.csv", peopleHeader+
			row("RSSMRA80A01H501U", rome, "no", mobile, "")+row("BNCNMR72H55F839M", abroad, "yes", mobile, "")+
			row("PPSNIO90R10Z129Z", abroad, "no", ",,", "")+row(noAddress, ",,,,DE", "no", mobile, "")+
			row("MLLSNT82P65Z404U", abroad, "no", mobile, "2024-01-31")+row("RSSMRA85T10A562S", ",,,,", "no", mobile, "")))
		for cf, c := range people {
			asked := s
			if c.setting != "" {
				asked = s.with(c.setting, c.value)
			}
			asked.refuses([]string{"idp: " + c.want + "\n"}, "pins", "issue", cf)
			if doc := s.doc("pins", "status", cf); doc["state"] != "none" || doc["kind"] != nil || doc["changed_at"] != nil ||
				doc["due_at"] != nil || doc["waiting_until"] != nil || len(doc) != 5 {
				s.t.Errorf("after a refusal: status %v", doc)
			}
		}
		open := s.with("IDP_ELIGIBILITY", "open")
		open.with("IDP_OUTBOX_DIR", "").refuses([]string{"no channel is on"}, "pins", "issue", newcomer)
		if doc := open.doc("pins", "issue", newcomer, "--kind", "dispositivo"); doc["state"] != "pending_delivery" || doc["kind"] != "dispositivo" {
			s.t.Errorf("pins issue --json = %v", doc)
		}
		open.refuses([]string{"a PIN is on its way already: revoke it first"}, "pins", "issue", newcomer)
		open.done("pins", "revoke", newcomer)
		open.done("pins", "issue", newcomer) // R52: at once
	})
}

// The life of a PIN by commands, while serve delivers.
func TestPinsByCommand(t *testing.T) {
	terminals(t, func(s *terminal) {
		s = s.with("IDP_ELIGIBILITY", "open")
		s.done("citizens", "import", s.file("people.csv", string(samplePeople)))
		s.refuses([]string{"no PIN"}, "pins", "suspend", regular)
		s.refuses([]string{"no PIN"}, "pins", "resume", regular)
		s.refuses([]string{"no PIN"}, "pins", "revoke", regular)
		s.done("pins", "issue", regular)
		s.serve("--workers=delivery")
		state := func() any { return s.doc("pins", "status", regular)["state"] }
		eventually(s.t, 20*time.Second, "both halves are out", func() bool { return state() == "issued" })
		s.refuses([]string{"there is a live PIN already: revoke it first"}, "pins", "issue", regular)
		s.refuses([]string{"not suspended"}, "pins", "resume", regular)
		for _, step := range []struct{ command, state string }{{"suspend", "suspended"}, {"resume", "issued"}, {"suspend", "suspended"}, {"revoke", "revoked"}} {
			if doc := s.doc("pins", step.command, regular); doc["state"] != step.state {
				s.t.Errorf("pins %s: state %v, want %s", step.command, doc["state"], step.state)
			}
			if step.command == "suspend" {
				s.refuses([]string{"suspended already"}, "pins", "suspend", regular)
			}
		}
		if out := s.done("pins", "status", regular); !strings.HasPrefix(out, "state: revoked, kind: ordinario") {
			s.t.Errorf("pins status = %q", out)
		}
		s.refuses([]string{"no PIN"}, "pins", "revoke", regular)
	})
}

// status is what pins status --json prints, in a house whose clock moves.
func (h *house) status(cf string) map[string]any {
	h.t.Helper()
	fc, err := parseCF(cf)
	if err != nil {
		h.t.Fatal(err)
	}
	var out bytes.Buffer
	i := &invocation{program: program{out: &out}, ctx: h.t.Context(), json: true}
	if err := i.status(h.t.Context(), h.services, fc); err != nil {
		h.t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		h.t.Fatal(err)
	}
	return doc
}

// Contract §1: pins status, in the states that only time and the registry bring.
func TestPinsStatusOverTime(t *testing.T) {
	each(t, func(h *house) {
		h.people()
		want := func(cf, state string, dates ...string) map[string]any {
			h.t.Helper()
			doc := h.status(cf)
			if doc["state"] != state {
				h.t.Errorf("state = %v, want %s", doc["state"], state)
			}
			for _, name := range []string{"changed_at", "due_at", "waiting_until"} {
				text, there := doc[name].(string)
				if there != slices.Contains(dates, name) {
					h.t.Errorf("%s: %s = %v", state, name, doc[name])
				}
				if _, err := time.Parse(time.RFC3339, text); there && err != nil {
					h.t.Errorf("%s: %v", name, err)
				}
			}
			return doc
		}
		want(regular, "none")
		h.firstPIN("PPSNIO90R10Z129Z")
		want("PPSNIO90R10Z129Z", "issued", "due_at")
		pin := h.activePIN(regular)
		want(regular, "active", "changed_at", "due_at")
		h.guessWrong(regular, pin)
		want(regular, "active", "changed_at", "due_at", "waiting_until")
		databasetest.Shift(h.t, h.db, 100*day)
		want(regular, "active", "changed_at", "due_at")
		databasetest.Shift(h.t, h.db, 100*day)
		want(regular, "change_due", "changed_at", "due_at")
		want("PPSNIO90R10Z129Z", "expired_unused", "due_at")
		dead := peopleHeader + row(regular, abroad, "no", mobile, "2026-01-31")
		if _, err := h.importPeople(h.t.Context(), strings.NewReader(dead), citizens.ImportOptions{}); err != nil {
			h.t.Fatal(err)
		}
		want(regular, "dismissed", "changed_at", "due_at")
	})
}

// guessWrong tries until somebody has to wait (R30).
func (h *house) guessWrong(cf, right string) {
	h.t.Helper()
	wrong := "13572468"
	if wrong == right {
		wrong = "13572469"
	}
	fc, err := parseCF(cf)
	if err != nil {
		h.t.Fatal(err)
	}
	pin, err := credentials.ParsePIN(wrong)
	if err != nil {
		h.t.Fatal(err)
	}
	for range 10 {
		_, err = h.pins.Verify(h.t.Context(), operator(), fc, pin)
	}
	var waiting *credentials.WaitingError
	if !errors.As(err, &waiting) {
		h.t.Fatalf("the tenth wrong PIN: %v", err)
	}
}
