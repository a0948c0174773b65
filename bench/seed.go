package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"ente.example/idp/bench/meter"
)

// size is how many rows a database that has served for years holds.
type size struct{ citizens, sessions, grants, consents, interactions, events int }

// years is what docs/performance.md speaks of.
func years() size {
	return size{citizens: 2_000_000, sessions: 100_000, grants: 500_000, consents: 1_000_000, interactions: 200_000, events: 10_000_000}
}

// part is so many hundredths of it.
func (s size) part(percent float64) size {
	of := func(n int) int { return int(float64(n) * percent / 100) }
	return size{of(s.citizens), of(s.sessions), of(s.grants), of(s.consents), of(s.interactions), of(s.events)}
}

func (s size) String() string {
	return fmt.Sprintf("%d citizens, %d sessions, %d grants, %d consents, %d interactions and %d audit events", s.citizens, s.sessions, s.grants, s.consents, s.interactions, s.events)
}

// fill has somebody leave one row of each kind, and copies them.
func (s *server) fill(ctx context.Context, list []copying) error {
	if err := s.driver.Prepare(ctx, 1); err != nil {
		return err
	}
	return seed(ctx, s.database, list)
}

// seed fills the tables with copies of a row that the program itself has made:
// what names a row is made anew, all else is as long and as likely as the real
// thing. Nobody can sign in as one of the copies: their PINs open nothing.
func seed(ctx context.Context, database *meter.Postgres, list []copying) error {
	conn, err := pgx.Connect(ctx, database.URL())
	if err != nil {
		return err
	}
	for _, c := range list {
		if err = c.run(ctx, conn); err != nil {
			break
		}
	}
	if err == nil {
		_, err = conn.Exec(ctx, "VACUUM ANALYZE")
	}
	return errors.Join(err, conn.Close(ctx))
}

// copying is one table: so many rows, with these columns made anew from the
// row's number g.
type copying struct {
	table string
	where string // which row is the model; empty: any
	rows  int
	anew  map[string]string
}

// numbered is a UUID that tells the table and the row's number.
func numbered(kind int) string {
	return fmt.Sprintf("('01900000-%04d-7000-8000-' || lpad(to_hex(g), 12, '0'))::uuid", kind)
}

func hashed(what string) string { return "sha256(('" + what + "' || g)::bytea)" }

// copies go from those that are pointed to, to those that point.
func copies(s size) []copying {
	person := fmt.Sprintf("('01900000-0001-7000-8000-' || lpad(to_hex(1 + g * 7919 %% %d), 12, '0'))::uuid", s.citizens)
	// spread over ten days that are over, so that nothing is due for the janitor
	ago := func(days string) string { return "now() - g % 864000 * interval '1 second' + interval '" + days + "'" }
	return []copying{
		{"citizens", "", s.citizens, map[string]string{"id": numbered(1), "fiscal_code_key": hashed("cf"), "health_card_key": "NULL", "health_card_number": "NULL", "health_card_expiry": "NULL"}},
		{"contacts", "kind = 'email'", s.citizens, map[string]string{"citizen_id": numbered(1), "value_key": hashed("mail")}},
		{"credentials", "state = 'active'", s.citizens, map[string]string{"id": numbered(2), "citizen_id": numbered(1), "look_at": "now() + interval '100 days'"}},
		{"sessions", "", s.sessions, map[string]string{
			"id": numbered(3), "citizen_id": person, "secret_hash": hashed("secret"), "browser_hash": hashed("browser"),
			"seen_at": "now()", "expires_at": "now() + interval '8 hours'", "ended_at": "NULL", "end_reason": "NULL",
		}},
		{"grants", "", s.grants, map[string]string{
			"id": numbered(4), "citizen_id": person, "code_hash": hashed("code"), "session_id": "g::text",
			"refresh_hash": hashed("refresh"), "expires_at": ago("30 days"),
		}},
		{"consents", "", s.consents, map[string]string{"citizen_id": numbered(1)}},
		{"interactions", "", s.interactions, map[string]string{
			"id_hash": hashed("interaction"), "browser_hash": hashed("browser"), "sealed": "NULL", "ended_at": "now()", "expires_at": "now() - g % 36000 * interval '1 second'",
		}},
		{"audit_chain", "", s.events, map[string]string{"id": numbered(5), "at": ago("0 days"), "seq": "-g", "subject": person + "::text"}},
	}
}

// expiring are rows of each table from which the janitor takes most: so many
// that for a time some are due every second, at an even rate.
func expiring(rate float64, time time.Duration) []copying {
	due := func(memory string) string {
		return fmt.Sprintf("now() - interval '%s' + g * interval '%f seconds'", memory, 1/rate)
	}
	n := int(rate * time.Seconds())
	return []copying{
		{"sessions", "", n, map[string]string{
			"id": numbered(3), "secret_hash": hashed("secret"), "browser_hash": hashed("browser"),
			"expires_at": due("24 hours"), "ended_at": "now()", "end_reason": "'expired'",
		}},
		{"grants", "", n, map[string]string{
			"id": numbered(4), "code_hash": hashed("code"), "session_id": "g::text", "refresh_hash": hashed("refresh"), "expires_at": due("2 hours"),
		}},
		{"interactions", "", n, map[string]string{
			"id_hash": hashed("interaction"), "browser_hash": hashed("browser"), "sealed": "NULL", "ended_at": "now()", "expires_at": due("24 hours"),
		}},
	}
}

// run copies in pieces that a server takes without much memory.
func (c copying) run(ctx context.Context, conn *pgx.Conn) error {
	const piece = 500_000
	insert, err := c.statement(ctx, conn)
	if err == nil {
		err = c.awaitModel(ctx, conn)
	}
	if err != nil {
		return fmt.Errorf("seed %s: %w", c.table, err)
	}
	for from := 1; from <= c.rows; from += piece {
		if _, err := conn.Exec(ctx, insert, from, min(from+piece-1, c.rows)); err != nil {
			return fmt.Errorf("seed %s: %w", c.table, err)
		}
	}
	return nil
}

// awaitModel waits until there is a row to copy: the audit's comes a second or so
// after what it tells of.
func (c copying) awaitModel(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for found := false; !found; {
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+c.table+"), pg_sleep(0.05)::text").Scan(&found, nil); err != nil {
			return fmt.Errorf("wait for a first row: %w", err)
		}
	}
	return nil
}

// statement names every column that the table has by now.
func (c copying) statement(ctx context.Context, conn *pgx.Conn) (string, error) {
	rows, err := conn.Query(ctx, "SELECT column_name FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position", c.table)
	if err != nil {
		return "", err
	}
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", err
	}
	values := slices.Clone(columns)
	for i, name := range columns {
		if made, ok := c.anew[name]; ok {
			values[i] = made
		}
	}
	model := "SELECT * FROM " + c.table
	if c.where != "" {
		model += " WHERE " + c.where
	}
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM generate_series($1::bigint, $2::bigint) AS g, (%s LIMIT 1) AS model",
		c.table, strings.Join(columns, ", "), strings.Join(values, ", "), model), nil
}
