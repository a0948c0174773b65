package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/secrets"
)

type fixture struct {
	*audit.Log
	db      *database.DB
	anchors string
}

func newLog(t *testing.T, db *database.DB, keys *secrets.Ring, anchors string) fixture {
	t.Helper()
	l, err := audit.New(audit.Deps{DB: db, Signer: keys.AuditSigner(), Verifier: keys.AuditVerifier(), Anchors: anchors, Node: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{l, db, anchors}
}

func fresh(t *testing.T, db *database.DB) fixture {
	t.Helper()
	keys, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	return newLog(t, db, keys, t.TempDir())
}

func (f fixture) record(t *testing.T, n int) {
	t.Helper()
	for range n {
		if err := f.db.InTx(t.Context(), func(ctx context.Context) error {
			return f.Record(ctx, audit.Event{Type: audit.SignIn, Outcome: audit.Refused, Reason: "wrong <PIN> & more",
				Actor:   audit.Actor{Kind: audit.Anonymous, Request: audit.Request{ID: "r1", IP: "192.0.2.1", Port: 4711}},
				Details: map[string]string{"fails": "3"}})
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func (f fixture) chain(t *testing.T) {
	t.Helper()
	if held, err := f.Chain(t.Context()); err != nil || !held {
		t.Fatalf("Chain = %v, %v", held, err)
	}
}

func (f fixture) anchor(t *testing.T) {
	t.Helper()
	if c, err := f.Anchor(t.Context()); err != nil || c == nil {
		t.Fatalf("Anchor = %v, %v", c, err)
	}
}

func (f fixture) verify(t *testing.T) audit.Report {
	t.Helper()
	r, err := f.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tamper does what only the database's owner can: it drops the guards first.
func (f fixture) tamper(t *testing.T, statements ...string) {
	t.Helper()
	guards := []string{"DROP TRIGGER audit_chain_update", "DROP TRIGGER audit_chain_delete"}
	if f.db.Dialect() == database.Postgres {
		guards = []string{"ALTER TABLE audit_chain DISABLE TRIGGER ALL"}
	}
	for _, q := range append(guards, statements...) {
		if err := f.db.Write(t.Context()).Exec(q).Error; err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

func TestRecordNeedsATransaction(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := fresh(t, db)
		if err := f.Record(t.Context(), audit.Event{Type: audit.SignIn}); !errors.Is(err, audit.ErrNoTransaction) {
			t.Errorf("err = %v, want ErrNoTransaction", err)
		}
	})
}

// Of many who want the same row one gets it, and its event is the only one.
func TestRecordIfIsOneCommit(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := fresh(t, db)
		if _, err := db.Writer(t.Context()).Do("CREATE TABLE prizes (id bigint PRIMARY KEY, winner bigint)"); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Writer(t.Context()).Do("INSERT INTO prizes (id) VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		var won atomic.Int64
		take := func(ctx context.Context, e audit.Event, i int) (bool, error) {
			return f.RecordIf(ctx, e, "UPDATE prizes SET winner = ? WHERE id = ? AND winner IS NULL", i, 1)
		}
		if done, err := take(t.Context(), audit.Event{Type: audit.SignIn, Details: map[string]string{"pin": "12345678"}}, 0); done || err == nil {
			t.Errorf("without its record: %v, %v", done, err)
		}
		stop := errors.New("stop")
		if err := db.InTx(t.Context(), func(ctx context.Context) error {
			done, err := take(ctx, audit.Event{Type: audit.SignIn}, 0)
			if !done || err != nil {
				t.Errorf("in a transaction: %v, %v", done, err)
			}
			return stop
		}); !errors.Is(err, stop) {
			t.Error(err)
		}
		databasetest.Barrier(16, func(i int) {
			done, err := take(t.Context(), audit.Event{Type: audit.SignIn}, i)
			if err != nil {
				t.Error(err)
			}
			if done {
				won.Add(1)
			}
		})
		if r := f.verify(t); won.Load() != 1 || r.Unchained != 1 {
			t.Errorf("%d won, %d events", won.Load(), r.Unchained)
		}
	})
}

// Whoever records in a transaction, it is one statement; what is undone has left
// no event.
func TestRecordIsOneStatementAndRollsBack(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := fresh(t, db)
		stop := errors.New("stop")
		for _, row := range []struct {
			end        error
			statements int
			events     int64
		}{{nil, 1, 3}, {stop, 0, 0}} {
			before := f.verify(t).Unchained
			count := databasetest.Count(t, db)
			err := db.InTx(t.Context(), func(ctx context.Context) error {
				err := f.Record(ctx, audit.Event{Type: audit.SignIn}, audit.Event{Type: audit.PINLocked})
				return errors.Join(err, f.Record(ctx, audit.Event{Type: audit.SessionStarted}), row.end)
			})
			if !errors.Is(err, row.end) || len(count.Writes()) != row.statements {
				t.Errorf("ended by %v: %v, statements %q", row.end, err, count.Writes())
			}
			if n := f.verify(t).Unchained - before; n != row.events {
				t.Errorf("ended by %v: %d events, want %d", row.end, n, row.events)
			}
		}
		var types []string
		if err := db.Read(t.Context()).Raw("SELECT type FROM audit_events ORDER BY id").Scan(&types).Error; err != nil ||
			!slices.Equal(types, []string{string(audit.SignIn), string(audit.PINLocked), string(audit.SessionStarted)}) {
			t.Errorf("recorded %q, %v", types, err)
		}
	})
}

func TestRecordRefusesOtherDetails(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := fresh(t, db)
		err := db.InTx(t.Context(), func(ctx context.Context) error {
			return f.Record(ctx, audit.Event{Type: audit.SignIn, Details: map[string]string{"pin": "12345678"}})
		})
		if err == nil || strings.Contains(err.Error(), "12345678") {
			t.Errorf("err = %v, want a refusal without the value", err)
		}
	})
}

func TestChainVerifies(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := fresh(t, db)
		f.record(t, 7)
		f.chain(t)
		f.anchor(t)
		f.record(t, 2)
		got := f.verify(t)
		if want := (audit.Report{OK: true, Events: 7, Unchained: 2, Checkpoints: 1}); got != want {
			t.Errorf("Verify = %+v, want %+v", got, want)
		}
		if n, err := f.Unanchored(t.Context()); err != nil || n != 2 {
			t.Errorf("Unanchored = %d, %v, want 2", n, err)
		}
		var out bytes.Buffer
		if n, err := f.Export(t.Context(), &out); err != nil || n != 7 || strings.Count(out.String(), "\n") != 7 {
			t.Errorf("Export = %d, %v, %d lines", n, err, strings.Count(out.String(), "\n"))
		}
	})
}

// The export is enough for a verifier that knows only SHA-256 and RFC 8785.
func TestExportVerifiesElsewhere(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := fresh(t, db)
		f.record(t, 3)
		odd := `"quoted" \ <b>&amp;</b> è € 😀 ` + "\x7f\t\u2028\xff"
		if err := db.InTx(t.Context(), func(ctx context.Context) error {
			return f.Record(ctx, audit.Event{Type: audit.SignIn, Reason: odd, Session: odd, Client: odd,
				Actor: audit.Actor{ID: odd, Request: audit.Request{UserAgent: odd, Port: 443}}, Details: map[string]string{"purpose": odd, "from": odd}})
		}); err != nil {
			t.Fatal(err)
		}
		f.chain(t)
		var out bytes.Buffer
		if _, err := f.Export(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		prev := make([]byte, 32)
		for d := json.NewDecoder(&out); d.More(); {
			var line struct {
				Hash  string
				Event map[string]any // encoded again with its members sorted
			}
			var canonical bytes.Buffer
			e := json.NewEncoder(&canonical)
			e.SetEscapeHTML(false)
			if err := errors.Join(d.Decode(&line), e.Encode(line.Event)); err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(append(prev, bytes.TrimSpace(canonical.Bytes())...))
			if prev = sum[:]; hex.EncodeToString(prev) != line.Hash {
				t.Errorf("%v has the hash %s", line.Event, line.Hash)
			}
		}
	})
}

func TestEventsAreAppendOnly(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := fresh(t, db)
		f.record(t, 1)
		refused := func(q string) {
			t.Helper()
			if err := db.Write(t.Context()).Exec(q).Error; err == nil {
				t.Errorf("%s went through", q)
			}
		}
		copied := "INSERT INTO audit_chain SELECT id, at, node_at, node, type, outcome, actor_kind, actor_id, subject, client_id, session, " +
			"request_id, ip, port, user_agent, 'x', details, 7, hash, hash FROM audit_queue, audit_head"
		refused("UPDATE audit_queue SET reason = 'x'")
		refused("DELETE FROM audit_queue")
		if err := db.InTx(t.Context(), func(ctx context.Context) error {
			return errors.Join(db.Write(ctx).Exec(copied).Error, db.Write(ctx).Exec("DELETE FROM audit_queue").Error)
		}); err == nil {
			t.Error("an event moved into the chain as another")
		}
		f.chain(t)
		refused("UPDATE audit_chain SET seq = 2")
		refused("UPDATE audit_chain SET reason = 'x'")
		refused("DELETE FROM audit_chain")
		if got := f.verify(t); !got.OK || got.Events != 1 {
			t.Errorf("Verify = %+v", got)
		}
	})
}

func TestVerifyFindsTampering(t *testing.T) {
	for name, c := range map[string]struct {
		tamper []string
		want   audit.Finding
	}{
		"altered":   {[]string{"UPDATE audit_chain SET outcome = 'success' WHERE seq = 4"}, audit.Finding{Seq: 4, Kind: audit.Altered}},
		"missing":   {[]string{"DELETE FROM audit_chain WHERE seq = 4"}, audit.Finding{Seq: 4, Kind: audit.Missing}},
		"closed up": {[]string{"DELETE FROM audit_chain WHERE seq = 6", "UPDATE audit_chain SET seq = 6 WHERE seq = 7"}, audit.Finding{Seq: 6, Kind: audit.Missing}},
		"reordered": {[]string{"UPDATE audit_chain SET seq = 99 WHERE seq = 3", "UPDATE audit_chain SET seq = 3 WHERE seq = 4",
			"UPDATE audit_chain SET seq = 4 WHERE seq = 99"}, audit.Finding{Seq: 3, Kind: audit.Reordered}},
		"truncated": {[]string{"DELETE FROM audit_chain WHERE seq > 5"}, audit.Finding{Seq: 6, Kind: audit.Truncated}},
		"truncated with its head": {[]string{"DELETE FROM audit_chain WHERE seq > 5",
			"UPDATE audit_head SET seq = 5, hash = (SELECT hash FROM audit_chain WHERE seq = 5)"}, audit.Finding{Seq: 6, Kind: audit.Truncated}},
	} {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				f := fresh(t, db)
				f.record(t, 7)
				f.chain(t)
				f.anchor(t)
				f.tamper(t, c.tamper...)
				got := f.verify(t)
				if got.OK || got.Finding == nil || *got.Finding != c.want {
					t.Errorf("Verify = %+v (%+v), want %+v", got, got.Finding, c.want)
				}
			})
		})
	}
}

// Whoever owns the database can rebuild the chain over other events; the
// signed checkpoint is what catches him.
func TestVerifyFindsARewrittenChain(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := fresh(t, db)
		f.record(t, 3)
		f.chain(t)
		f.anchor(t)
		f.tamper(t, "DELETE FROM audit_chain", "UPDATE audit_head SET seq = 0, hash = "+map[database.Dialect]string{
			database.Postgres: `decode(repeat('00', 32), 'hex')`, database.SQLite: "zeroblob(32)"}[db.Dialect()])
		f.record(t, 3)
		f.chain(t)
		if got := f.verify(t); got.Finding == nil || *got.Finding != (audit.Finding{Seq: 3, Kind: audit.Forked}) {
			t.Errorf("Verify = %+v", got.Finding)
		}
	})
}

func TestVerifyFindsAForgedCheckpoint(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := fresh(t, db)
		f.record(t, 3)
		f.chain(t)
		f.anchor(t)
		path := filepath.Join(f.anchors, "checkpoints.jsonl")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, bytes.Replace(b, []byte(`"seq":3`), []byte(`"seq":2`), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := f.verify(t); got.Finding == nil || got.Finding.Kind != audit.BadSignature {
			t.Errorf("Verify = %+v", got.Finding)
		}
	})
}

// Two nodes chain at once, events arrive meanwhile: one chain, no gap.
func TestOneChainOnTwoNodes(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		keys, err := secrets.New()
		if err != nil {
			t.Fatal(err)
		}
		anchors := t.TempDir()
		nodes := []fixture{newLog(t, a, keys, anchors), newLog(t, b, keys, anchors)}
		databasetest.Barrier(16, func(i int) {
			f := nodes[i%2]
			f.record(t, 5)
			if _, err := f.Chain(t.Context()); err != nil {
				t.Error(err)
			}
			f.record(t, 5)
		})
		databasetest.Shift(t, a, time.Minute)
		nodes[1].chain(t)
		if got := nodes[0].verify(t); !got.OK || got.Events != 160 || got.Unchained != 0 {
			t.Errorf("Verify = %+v", got)
		}
	})
}
