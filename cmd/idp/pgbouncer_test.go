package main

import (
	"testing"

	"ente.example/idp/database/databasetest"
)

// Managed PostgreSQL often stands behind a pooler that gives each transaction
// another connection, and knows no prepared statement: the main job goes on all
// the same, and so do its workers.
func TestBehindPgBouncer(t *testing.T) {
	t.Parallel()
	mainJob(newHouse(t, databasetest.Pooled(t, databasetest.Postgres(t))))
}
