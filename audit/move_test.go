package audit_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"ente.example/idp/audit"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// Whoever empties the queue by hand loses no event, and alters none.
func TestOnlyAMoveEmptiesTheQueue(t *testing.T) {
	const fields = "id, at, node_at, node, type, outcome, actor_kind, actor_id, subject, client_id, session, request_id, ip, port, user_agent, "
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := fresh(t, db)
		f.record(t, 2)
		together := func(statements ...string) error {
			return db.InTx(t.Context(), func(ctx context.Context) (err error) {
				for _, q := range statements {
					err = errors.Join(err, db.Write(ctx).Exec(q).Error)
				}
				return err
			})
		}
		attempts := map[string][]string{
			"an event that is not in the chain": {"DELETE FROM audit_queue WHERE id = (SELECT min(CAST(id AS text)) FROM audit_queue)"},
			"one that stands there altered": {"INSERT INTO audit_chain SELECT " + fields + "'x', details, 1, hash, hash FROM audit_queue, audit_head LIMIT 1",
				"DELETE FROM audit_queue"},
			"two, of which one stands there": {"INSERT INTO audit_chain SELECT " + fields + "reason, details, 1, hash, hash FROM audit_queue, audit_head LIMIT 1",
				"DELETE FROM audit_queue"},
		}
		if db.Dialect() == database.Postgres {
			one := "SELECT set_config('audit.hashes', repeat('00', 32), true)"
			attempts["an event that is not in the chain"] = []string{"DELETE FROM audit_queue WHERE id = (SELECT id FROM audit_queue LIMIT 1)"}
			attempts["two with one hash"] = []string{one, "DELETE FROM audit_queue"}
			attempts["one with half a hash"] = []string{"SELECT set_config('audit.hashes', repeat('00', 16), true)", "DELETE FROM audit_queue WHERE id = (SELECT id FROM audit_queue LIMIT 1)"}
			attempts["one with a hash, at a number that is taken"] = []string{"INSERT INTO audit_chain SELECT " + fields + "reason, details, 1, hash, hash FROM audit_queue, audit_head LIMIT 1",
				one, "DELETE FROM audit_queue WHERE id = (SELECT id FROM audit_queue LIMIT 1)"}
			attempts["all, and the chain, at once"] = []string{"TRUNCATE audit_queue, audit_chain"}
			attempts["the queue at once"] = []string{"TRUNCATE audit_queue"}
		}
		for name, statements := range attempts {
			if err := together(statements...); err == nil {
				t.Errorf("%s: went through", name)
			}
		}
		f.chain(t)
		if got := f.verify(t); !got.OK || got.Events != 2 || got.Unchained != 0 {
			t.Errorf("Verify = %+v", got)
		}
	})
}

// A hash by hand moves an event as it was, to where Verify finds it.
func TestAForgedMoveIsFound(t *testing.T) {
	db := databasetest.Open(t, databasetest.Postgres(t), &database.Clock{})
	f := fresh(t, db)
	f.record(t, 1)
	if err := db.InTx(t.Context(), func(ctx context.Context) error {
		return errors.Join(db.Write(ctx).Exec("SELECT set_config('audit.hashes', repeat('00', 32), true)").Error, db.Write(ctx).Exec("DELETE FROM audit_queue").Error)
	}); err != nil {
		t.Fatal(err)
	}
	if got := f.verify(t); got.Finding == nil || *got.Finding != (audit.Finding{Seq: 1, Kind: audit.Altered}) || got.Unchained != 0 {
		t.Errorf("Verify = %+v (%+v)", got, got.Finding)
	}
}

// Where the trigger that moves has been switched off, nothing leaves the queue.
func TestNothingIsLostWithoutTheTrigger(t *testing.T) {
	db := databasetest.Open(t, databasetest.Postgres(t), &database.Clock{})
	f := fresh(t, db)
	f.record(t, 3)
	set := func(q string) {
		t.Helper()
		if err := db.Write(t.Context()).Exec(q).Error; err != nil {
			t.Fatal(err)
		}
	}
	set("ALTER TABLE audit_queue DISABLE TRIGGER audit_queue_moved")
	if _, err := f.Chain(t.Context()); err == nil {
		t.Error("events were chained without the trigger")
	}
	set("ALTER TABLE audit_queue ENABLE TRIGGER audit_queue_moved")
	f.chain(t)
	if got := f.verify(t); !got.OK || got.Events != 3 {
		t.Errorf("Verify = %+v", got)
	}
}

// Nobody reads a person's events but people, who need not read all there are.
func TestEventsOfAPersonAreFoundByIndex(t *testing.T) {
	db := databasetest.Open(t, databasetest.Postgres(t), &database.Clock{})
	f := fresh(t, db)
	f.record(t, 2)
	f.chain(t)
	var plan []string
	if err := db.InTx(t.Context(), func(ctx context.Context) error {
		return errors.Join(db.Write(ctx).Exec("SET LOCAL enable_seqscan = off").Error,
			db.Write(ctx).Raw("EXPLAIN SELECT * FROM audit_events WHERE subject = 'somebody'").Scan(&plan).Error)
	}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(plan, "\n"); !strings.Contains(got, "audit_chain_subject") || strings.Contains(got, "Seq Scan on audit_chain") {
		t.Errorf("the chain is read from end to end:\n%s", got)
	}
}
