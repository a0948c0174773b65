// Package audit keeps the security events: who did what, to whom, from where
// and how it ended (R57). An event is written in the transaction of what it
// records, so there is no success without its record; a sequencer chains the
// events afterwards and signs checkpoints, so that no record can be changed,
// taken out, moved or cut off without notice.
//
// It stands on database and citizens (for their ids) and owns the tables
// audit_queue, audit_chain and audit_head; the view audit_events shows the
// events of both.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/tink"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
)

// ErrNoTransaction says that an event came outside the transaction of what it
// records.
var ErrNoTransaction = errors.New("an audit event belongs in the transaction of what it records")

// ActorKind says what sort of actor it was.
type ActorKind string

// The kinds of actor.
const (
	Anonymous ActorKind = "anonymous"
	Citizen   ActorKind = "citizen"
	Client    ActorKind = "client"
	Operator  ActorKind = "operator" // a person at a command or a staff page
	System    ActorKind = "system"   // a worker
)

// Actor is who does something, and the request it was done with.
type Actor struct {
	Kind    ActorKind
	ID      string // citizen id, client id, operator's name
	Request Request
}

// Request is what the audit keeps of an HTTP request; zero for a command.
type Request struct {
	ID        string
	IP        string // as the trusted proxies tell it
	Port      int
	UserAgent string
}

// Event is one record.
type Event struct {
	Type    Type
	Outcome Outcome
	Actor   Actor
	Subject citizens.ID // whom it concerns
	Client  string      // through which service
	Session string      // the session's id, which is no secret
	Reason  string
	Details map[string]string
}

// Deps are what a Log stands on.
type Deps struct {
	DB       *database.DB
	Signer   tink.Signer   // signs checkpoints; nil where none are made
	Verifier tink.Verifier // checks them
	Anchors  string        // folder of the checkpoints; empty for none
	Node     string        // this node's name
}

// Log records events, chains them and checks the chain.
type Log struct {
	db       *database.DB
	signer   tink.Signer
	verifier tink.Verifier
	anchors  string
	node     string
	holder   string
}

// New makes a Log.
func New(d Deps) (*Log, error) {
	if d.DB == nil || d.Verifier == nil {
		return nil, errors.New("audit: DB and Verifier are needed")
	}
	return &Log{db: d.DB, signer: d.Signer, verifier: d.Verifier, anchors: d.Anchors, node: d.Node, holder: uuid.NewString()}, nil
}

// Record writes events with the transaction of ctx: all that are recorded in it
// travel with the commit, in one statement, and what fails then fails the
// transaction. It refuses to work outside one.
func (l *Log) Record(ctx context.Context, events ...Event) error {
	if !database.Inside(ctx) {
		return ErrNoTransaction
	}
	for _, e := range events {
		r, err := l.row(e)
		if err == nil {
			err = l.insert(ctx, r)
		}
		if err != nil {
			return fmt.Errorf("record %s: %w", e.Type, err)
		}
	}
	return nil
}

// RecordIf sends a conditional write of one row, and records e if there was such
// a row; false if there was none, and then nothing has happened. Write and event
// are one commit, in the transaction of ctx or in one of their own: on PostgreSQL
// they are one statement.
func (l *Log) RecordIf(ctx context.Context, e Event, write string, args ...any) (done bool, err error) {
	r, err := l.row(e)
	if err == nil && l.db.Dialect() == database.Postgres {
		done, err = l.insertIf(ctx, r, write, args)
	} else if err == nil {
		err = l.db.InTx(ctx, func(ctx context.Context) error {
			n, err := l.db.Writer(ctx).Do(write, args...)
			if done = n == 1; err != nil || !done {
				return err
			}
			return l.insert(ctx, r)
		})
	}
	if err != nil {
		return false, fmt.Errorf("write and record %s: %w", e.Type, err)
	}
	return done, nil
}

func (l *Log) row(e Event) (row, error) {
	for key := range e.Details {
		if !details[key] {
			return row{}, fmt.Errorf("detail %q is not on the list", key)
		}
	}
	text, err := encode(e.Details)
	if err != nil {
		return row{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return row{}, err
	}
	return row{
		ID: id.String(), Node: clean(l.node), Type: string(e.Type), Outcome: string(e.Outcome),
		ActorKind: string(e.Actor.Kind), ActorID: clean(e.Actor.ID), Subject: string(e.Subject), ClientID: clean(e.Client),
		Session: clean(e.Session), RequestID: clean(e.Actor.Request.ID), IP: clean(e.Actor.Request.IP),
		Port: e.Actor.Request.Port, UserAgent: clean(e.Actor.Request.UserAgent), Reason: clean(e.Reason), Details: text,
	}, nil
}

func encode(m map[string]string) (string, error) {
	safe := make(map[string]string, len(m))
	for k, v := range m {
		safe[k] = clean(v)
	}
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false) // RFC 8785 has no escape for < > &
	err := e.Encode(safe)
	return strings.TrimSuffix(out.String(), "\n"), err
}

// longest is how much of a text from outside is kept.
const longest = 256

// clean makes a text from outside harmless for whoever reads the log: no
// control characters, no line separators, not endless.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "")
	}
	return s
}
