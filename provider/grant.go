package provider

import (
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"ente.example/idp/audit"
)

// newGrantID orders grants by time, which keeps the primary key compact. It is
// in every access token, and no secret.
func newGrantID() string { return uuid.Must(uuid.NewV7()).String() }

// event is a record of what happens to a grant.
func (g *grantRow) event(kind audit.Type, outcome audit.Outcome, by audit.Actor) audit.Event {
	return audit.Event{
		Type: kind, Outcome: outcome, Actor: by, Subject: g.CitizenID, Client: g.ClientID, Session: g.SessionID,
		Details: map[string]string{"grant": g.ID},
	}
}

// with adds a detail to an event, unless it is empty.
func with(e audit.Event, name, value string) audit.Event {
	if value != "" {
		e.Details[name] = value
	}
	return e
}

func generation(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

func scopeText(scopes []string) string { return strings.Join(scopes, " ") }

// within keeps what is in both lists.
func within(list, allowed []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !slices.Contains(allowed, s) })
}

// without drops one of a list.
func without(list []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == one })
}
