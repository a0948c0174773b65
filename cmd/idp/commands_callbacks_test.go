package main

import (
	"strings"
	"testing"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/enrolment"
	"ente.example/idp/templates"
)

// owe queues a call to a person of the registry.
func (s *terminal) owe(cf, phone, reason string) {
	s.t.Helper()
	v := s.services()
	fc, err := citizens.ParseFiscalCode(cf)
	if err != nil {
		s.t.Fatal(err)
	}
	id, _, err := v.citizens.Find(s.t.Context(), fc)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := v.requests.Calls().Queue(s.t.Context(), operator(), enrolment.Task{Citizen: id, Phone: phone, Slot: enrolment.Morning, Reason: reason}); err != nil {
		s.t.Fatal(err)
	}
}

// Contract §1: the contact centre's queue from the terminal: masked in the
// list, whole for whoever has taken the call.
func TestCallbacks(t *testing.T) {
	terminals(t, func(s *terminal) {
		if list := s.list("callbacks", "list"); len(list) != 0 {
			s.t.Errorf("an empty queue lists %v", list)
		}
		s.refuses([]string{"nobody"}, "callbacks", "assign")
		s.done("citizens", "import", s.file("people.csv", peopleHeader+row(regular, abroad, "no", mobile, "")))
		s.owe(regular, "+498912345678", "resident abroad")
		list := s.list("callbacks", "list")
		if len(list) != 1 || list[0]["name"] != "Rossi M." || list[0]["phone"] != "+49 *** ** 78" || list[0]["time_zone"] != "Europe/Berlin" || list[0]["slot"] != "morning" {
			s.t.Fatalf("the list is %v", list)
		}
		id := list[0]["id"].(string)
		if words := s.done("callbacks", "list"); strings.Contains(words, "12345678") || strings.Contains(words, regular) || !strings.Contains(words, id) {
			s.t.Errorf("the list says %q", words)
		}
		s.refuses([]string{"take the call first"}, "callbacks", "close", id, "approve")
		if doc := s.doc("callbacks", "assign", id); doc["phone"] != "+498912345678" || doc["state"] != "assigned" {
			s.t.Errorf("the call taken is %v", doc)
		}
		s.refuses([]string{"reason"}, "callbacks", "close", id, "--reject")
		if doc := s.doc("callbacks", "close", id, "no-answer"); doc["outcome"] != "no-answer" {
			s.t.Errorf("the outcome is %v", doc)
		}
		if list := s.list("callbacks", "list"); list[0]["attempts"] != 1.0 || list[0]["state"] != "queued" {
			s.t.Errorf("after an attempt: %v", list)
		}
		s.done("callbacks", "assign", id)
		s.done("callbacks", "close", id, "reject", "--reason", "did not know the birth place")
		if list := s.list("callbacks", "list"); len(list) != 0 {
			s.t.Errorf("after the end: %v", list)
		}
		s.refuses([]string{"no such call"}, "callbacks", "assign", id)
		if o := s.run("callbacks", "close", id, "perhaps"); o.code != exitUsage {
			s.t.Errorf("an unknown outcome: exit %d, want 2", o.code)
		}
	})
}

// The hours on the pages are the hours in which people are called.
func TestDeskHours(t *testing.T) {
	t.Parallel()
	i := templates.Sample()
	i.Closed = []string{"2026-12-25"}
	h, err := deskHours(i)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Openings) != 6 || h.Openings[5] != (enrolment.Opening{Day: time.Saturday, From: 8 * time.Hour, To: 14 * time.Hour}) {
		t.Errorf("openings are %v", h.Openings)
	}
	if len(h.Closed) != 1 || h.Closed[0].Day != 25 {
		t.Errorf("closed on %v", h.Closed)
	}
}
