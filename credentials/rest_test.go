package credentials

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// atRest looks for secrets in everything that the database keeps: on SQLite in
// the very files, on PostgreSQL in every row of every table of ours.
func (f *fixture) atRest(secrets []string) {
	f.t.Helper()
	dump := f.dump()
	for _, s := range secrets {
		for _, form := range []string{s, reverse(s), hex.EncodeToString([]byte(s)), base64.RawStdEncoding.EncodeToString([]byte(s))} {
			if strings.Contains(dump, form) {
				f.t.Errorf("the database holds a secret as %q", form)
			}
		}
	}
}

func (f *fixture) dump() string {
	f.t.Helper()
	var b strings.Builder
	if path := f.db.Path(); path != "" {
		for _, suffix := range []string{"", "-wal"} {
			file, err := os.ReadFile(path + suffix)
			f.must(err)
			b.Write(file)
		}
		return b.String()
	}
	for _, table := range []string{"credentials", "pin_changes", "pin_throttle", "pin_stranger_tries", "pin_procedures", "pin_notices", "deliveries", "audit_events", "installation"} {
		var rows []string
		f.must(f.db.Read(f.t.Context()).Raw(`SELECT x::text FROM ` + table + ` AS x`).Scan(&rows).Error)
		b.WriteString(strings.Join(rows, "\n"))
	}
	return b.String()
}

// number reads a figure out of an event's details.
func number(t *testing.T, details, key string) int {
	t.Helper()
	var m map[string]string
	if err := json.Unmarshal([]byte(details), &m); err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(m[key])
	if err != nil {
		t.Fatal(fmt.Errorf("detail %s: %w", key, err))
	}
	return n
}
