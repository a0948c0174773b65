package login

import (
	"fmt"
	"strings"
	"testing"

	"ente.example/idp/credentials"
	"ente.example/idp/database"
)

func changeID(s string) credentials.ChangeID { return credentials.ChangeID(s) }

// dumpTable is everything that a table holds, as a thief of the database reads it.
func dumpTable(t *testing.T, db *database.DB, table string) string {
	t.Helper()
	rows, err := db.SQL().QueryContext(t.Context(), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			fmt.Fprintf(&b, "%s\t", *v.(*any))
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
