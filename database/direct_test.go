package database_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// notes makes a table of the test's own.
func notes(t *testing.T, db *database.DB) {
	t.Helper()
	if _, err := db.Writer(t.Context()).Do("CREATE TABLE notes (id text PRIMARY KEY, n bigint NOT NULL, at timestamp)"); err != nil {
		t.Fatal(err)
	}
}

func texts(t *testing.T, db *database.DB) []string {
	t.Helper()
	var all []string
	err := db.Reader(t.Context()).All("SELECT id FROM notes ORDER BY id", nil, func(r database.Row) error {
		var id string
		defer func() { all = append(all, id) }()
		return r.Scan(&id)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestHandleReadsAndWrites(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		notes(t, db)
		ctx := t.Context()
		for i, id := range []string{"a", "b", "c"} {
			if n, err := db.Writer(ctx).Do("INSERT INTO notes (id, n, at) VALUES (?, ?, ?)", id, i, db.NowExpr()); n != 1 || err != nil {
				t.Fatalf("insert: %d rows, %v", n, err)
			}
		}
		var id string
		var at database.Time
		found, err := db.Reader(ctx).One("SELECT id, ? FROM notes WHERE n = ? AND at < ? AND id IN ?",
			[]any{db.NowExpr(), 1, db.NowPlus(time.Minute), []any{"b", "c"}}, &id, &at)
		if !found || err != nil || id != "b" || time.Since(at.Time).Abs() > time.Minute {
			t.Errorf("One: %v %v %q at %v", found, err, id, at)
		}
		if found, err := db.Reader(ctx).One("SELECT id FROM notes WHERE id = ?", []any{"z"}, &id); found || err != nil {
			t.Errorf("One without a row: %v, %v", found, err)
		}
		if n, err := db.Writer(ctx).Do("UPDATE notes SET n = n + 1 WHERE n > ?", 0); n != 2 || err != nil {
			t.Errorf("update: %d rows, %v", n, err)
		}
		var n int64
		found, err = db.Writer(ctx).One("UPDATE notes SET n = 9 WHERE id = ? RETURNING n", []any{"a"}, &n)
		if !found || err != nil || n != 9 {
			t.Errorf("returning: %v %v %d", found, err, n)
		}
	})
}

// Reads that travel together are answered in order, each for itself, in a
// transaction and out of one; none follows one that has failed.
func TestTogether(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		notes(t, db)
		for i, id := range []string{"a", "b", "c"} {
			if _, err := db.Writer(t.Context()).Do("INSERT INTO notes (id, n) VALUES (?, ?)", id, i); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		add := func(r database.Row) error {
			var id string
			err := r.Scan(&id)
			got = append(got, id)
			return err
		}
		last := database.Subquery{Text: "SELECT max(n) - ? FROM notes", Args: []any{1}}
		queries := []database.Query{
			{Text: "SELECT id FROM notes WHERE n < ? ORDER BY id", Args: []any{2}, Each: add},
			{Text: "SELECT id FROM notes WHERE n > ?", Args: []any{7}, Each: add},
			{Text: "SELECT id FROM notes WHERE n > ? AND n > ?", Args: []any{last, 0}, Each: add},
		}
		stop := errors.New("stop")
		check := func(ctx context.Context) error {
			t.Helper()
			got = nil
			if err := db.Reader(ctx).Together(queries...); err != nil || !slices.Equal(got, []string{"a", "b", "c"}) {
				t.Errorf("got %v, %v", got, err)
			}
			got = nil
			failing := database.Query{Text: queries[0].Text, Args: queries[0].Args, Each: func(database.Row) error { return stop }}
			if err := db.Reader(ctx).Together(queries[2], failing, queries[0]); !errors.Is(err, stop) || !slices.Equal(got, []string{"c"}) {
				t.Errorf("after one that failed: got %v, %v", got, err)
			}
			return nil
		}
		for range 2 { // on the connection that the first left
			_ = check(t.Context())
		}
		if err := db.InTx(t.Context(), check); err != nil {
			t.Error(err)
		}
		if err := db.Reader(t.Context()).Together(database.Query{Text: "SELECT nothing FROM nowhere", Each: add}, queries[0]); err == nil {
			t.Error("a statement that is wrong is no error")
		}
		c := databasetest.Count(t, db)
		if err := db.Reader(t.Context()).Together(queries...); err != nil || len(c.Statements()) != len(queries) {
			t.Errorf("counted %v, %v", c.Statements(), err)
		}
	})
}

func TestHandleNamesErrors(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		notes(t, db)
		ctx := t.Context()
		const insert = "INSERT INTO notes (id, n) VALUES (?, 1)"
		if err := db.Writer(ctx).Later(insert, "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Writer(ctx).Do(insert, "a"); !errors.Is(err, gorm.ErrDuplicatedKey) {
			t.Errorf("duplicate: %v", err)
		}
		err := db.InTx(ctx, func(ctx context.Context) error { return db.Writer(ctx).Later(insert, "a") })
		if !errors.Is(err, gorm.ErrDuplicatedKey) {
			t.Errorf("duplicate, told at the commit: %v", err)
		}
		stop := errors.New("enough")
		err = db.Reader(ctx).All("SELECT id FROM notes", nil, func(database.Row) error { return stop })
		if !errors.Is(err, stop) {
			t.Errorf("All: %v", err)
		}
		if err := db.Reader(ctx).All("SELECT nothing FROM notes", nil, func(database.Row) error { return nil }); err == nil {
			t.Error("a column that is not there: no error")
		}
	})
}

// What is kept back stands in the transaction, in its order, whoever sends the
// next statement.
func TestLaterStandsInTheTransaction(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		notes(t, db)
		err := db.InTx(t.Context(), func(ctx context.Context) error {
			var n int64
			h := db.Writer(ctx)
			err := errors.Join(
				h.Later("INSERT INTO notes (id, n) VALUES (?, 1)", "a"),
				h.Later("UPDATE notes SET n = n + 1 WHERE id = ?", "a"),
				db.Read(ctx).Raw("SELECT n FROM notes WHERE id = 'a'").Scan(&n).Error) // gorm
			if n != 2 {
				t.Errorf("gorm reads %d", n)
			}
			if err := errors.Join(err, db.Write(ctx).Exec("UPDATE notes SET n = 5").Error); err != nil {
				return err
			}
			err = h.Later("UPDATE notes SET n = n + 1")
			found, failed := h.One("SELECT n FROM notes", nil, &n)
			if !found || n != 6 {
				t.Errorf("a handle reads %d", n)
			}
			return errors.Join(err, failed, h.Later("INSERT INTO notes (id, n) VALUES ('last', 1)"))
		})
		if got := texts(t, db); err != nil || !slices.Equal(got, []string{"a", "last"}) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// Whatever fails, all of it is undone, and the connection is good for the next.
func TestTransactionIsAllOrNothing(t *testing.T) {
	insert := func(ctx context.Context, db *database.DB, id string) error {
		_, err := db.Writer(ctx).Do("INSERT INTO notes (id, n) VALUES (?, 1)", id)
		return err
	}
	failed := errors.New("the caller's own")
	for name, fn := range map[string]func(ctx context.Context, db *database.DB, cancel func()) error{
		"an error of the caller": func(ctx context.Context, db *database.DB, _ func()) error {
			return errors.Join(insert(ctx, db, "a"), failed)
		},
		"kept back, and an error of the caller": func(ctx context.Context, db *database.DB, _ func()) error {
			return errors.Join(db.Writer(ctx).Later("INSERT INTO notes (id, n) VALUES ('a', 1)"), failed)
		},
		"a statement that nobody waits for": func(ctx context.Context, db *database.DB, _ func()) error {
			return errors.Join(insert(ctx, db, "a"), db.Writer(ctx).Later("INSERT INTO notes (id) VALUES ('b')"))
		},
		"the same, and a statement behind it": func(ctx context.Context, db *database.DB, _ func()) error {
			return errors.Join(db.Writer(ctx).Later("INSERT INTO notes (id) VALUES ('b')"), insert(ctx, db, "a"))
		},
		"the same, and one of gorm behind it": func(ctx context.Context, db *database.DB, _ func()) error {
			return errors.Join(db.Writer(ctx).Later("INSERT INTO notes (id) VALUES ('b')"),
				db.Write(ctx).Exec("INSERT INTO notes (id, n) VALUES ('a', 1)").Error)
		},
		"whoever asked has gone": func(ctx context.Context, db *database.DB, cancel func()) error {
			defer cancel()
			return insert(ctx, db, "a")
		},
	} {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				notes(t, db)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if err := db.InTx(ctx, func(ctx context.Context) error { return fn(ctx, db, cancel) }); err == nil {
					t.Error("no error")
				}
				if err := db.InTx(t.Context(), func(ctx context.Context) error { return insert(ctx, db, "next") }); err != nil {
					t.Errorf("the next transaction: %v", err)
				}
				if got := texts(t, db); !slices.Equal(got, []string{"next"}) {
					t.Errorf("kept %v", got)
				}
			})
		})
	}
}

// An error that the caller swallows is found at the commit on PostgreSQL, where
// it has spoiled the transaction: nothing may look kept that is not.
func TestSwallowedErrorIsNoCommit(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		notes(t, db)
		err := db.InTx(t.Context(), func(ctx context.Context) error {
			_, err := db.Writer(ctx).Do("INSERT INTO notes (id, n) VALUES ('a', 1)")
			_, _ = db.Writer(ctx).Do("INSERT INTO notes (id) VALUES ('b')")
			return err
		})
		if kept := len(texts(t, db)); (err == nil) != (kept == 1) {
			t.Errorf("%d rows kept, %v", kept, err)
		}
	})
}

// A panic gives the connection back.
func TestPanicRollsBack(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		notes(t, db)
		for range 40 { // more than there are connections
			func() {
				defer func() { _ = recover() }()
				_ = db.InTx(t.Context(), func(ctx context.Context) error {
					_, _ = db.Writer(ctx).Do("INSERT INTO notes (id, n) VALUES ('a', 1)")
					panic("on purpose")
				})
			}()
		}
		if got := texts(t, db); len(got) != 0 {
			t.Errorf("kept %v", got)
		}
	})
}

// A connection that the server has closed is replaced, in a pool and at the
// start of a transaction; in its middle it is an error.
func TestHandleOutlivesItsConnection(t *testing.T) {
	db := databasetest.Open(t, databasetest.Postgres(t), &database.Clock{})
	notes(t, db)
	other := databasetest.Open(t, databasetest.Postgres(t), &database.Clock{})
	end := func(ctx context.Context) {
		t.Helper()
		var pid int64
		if _, err := db.Reader(ctx).One("SELECT pg_backend_pid()", nil, &pid); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Writer(t.Context()).Do("SELECT pg_terminate_backend(?, 5000)", pid); err != nil {
			t.Fatal(err)
		}
	}
	err := db.InTx(t.Context(), func(ctx context.Context) error {
		end(ctx)
		_, err := db.Writer(ctx).Do("INSERT INTO notes (id, n) VALUES ('lost', 1)")
		return err
	})
	if !database.IsUnavailable(err) {
		t.Errorf("in the middle of a transaction: %v", err)
	}
	if err := db.Writer(t.Context()).Later("INSERT INTO notes (id, n) VALUES ('kept', 1)"); err != nil {
		t.Errorf("after it: %v", err)
	}
	end(t.Context())
	n := 0
	count := database.Query{Text: "SELECT id FROM notes", Each: func(database.Row) error { n++; return nil }}
	if err := db.Reader(t.Context()).Together(count, count); err != nil || n != 2 {
		t.Errorf("two reads after another end: %v, %d rows", err, n)
	}
	if got := texts(t, db); !slices.Equal(got, []string{"kept"}) {
		t.Errorf("kept %v", got)
	}
}

// Handles of many requests share the pool.
func TestHandlesAtOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		notes(t, db)
		if _, err := db.Writer(t.Context()).Do("INSERT INTO notes (id, n) VALUES ('a', 0)"); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var won int64
		databasetest.Barrier(100, func(i int) {
			err := db.InTx(t.Context(), func(ctx context.Context) error {
				h := db.Writer(ctx)
				if err := h.Later("INSERT INTO notes (id, n) VALUES (?, 0)", fmt.Sprint("n", i)); err != nil {
					return err
				}
				n, err := h.Do("UPDATE notes SET n = 1 WHERE id = 'a' AND n = 0")
				mu.Lock()
				defer mu.Unlock()
				won += n
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
		if got := len(texts(t, db)); won != 1 || got != 101 {
			t.Errorf("%d won, %d rows", won, got)
		}
	})
}

// What Must misses voids the transaction, wherever it shows, by its own name.
func TestMust(t *testing.T) {
	gone := errors.New("the row is gone")
	must := func(ctx context.Context, db *database.DB, id string) error {
		return db.Writer(ctx).Must(gone, "UPDATE notes SET n = n + 1 WHERE id = ? RETURNING 1", id)
	}
	insert := func(ctx context.Context, db *database.DB) error {
		return db.Writer(ctx).Later("INSERT INTO notes (id, n) VALUES ('b', 1)")
	}
	for name, then := range map[string]func(ctx context.Context, db *database.DB) error{
		"at the commit": func(context.Context, *database.DB) error { return nil },
		"at the next statement": func(ctx context.Context, db *database.DB) error {
			_, err := db.Writer(ctx).Do("UPDATE notes SET n = 7")
			return err
		},
		"at the next of gorm": func(ctx context.Context, db *database.DB) error {
			return db.Write(ctx).Exec("UPDATE notes SET n = 7").Error
		},
	} {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				notes(t, db)
				work := func(id string) error {
					return db.InTx(t.Context(), func(ctx context.Context) error {
						return errors.Join(insert(ctx, db), must(ctx, db, id), then(ctx, db))
					})
				}
				if err := work("a"); !errors.Is(err, gone) {
					t.Errorf("got %v, want that the row is gone", err)
				}
				if got := texts(t, db); len(got) != 0 {
					t.Errorf("kept %v", got)
				}
				if err := work("b"); err != nil {
					t.Errorf("of a row that is there: %v", err)
				}
				if got := texts(t, db); !slices.Equal(got, []string{"b"}) {
					t.Errorf("kept %v", got)
				}
			})
		})
	}
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		notes(t, db)
		if err := errors.Join(must(t.Context(), db, "a"), insert(t.Context(), db)); !errors.Is(err, gone) {
			t.Errorf("alone: got %v, want that the row is gone", err)
		}
		if err := must(t.Context(), db, "b"); err != nil {
			t.Errorf("alone, of a row that is there: %v", err)
		}
	})
}

// Of many that must have a row only one can have, one gets it.
func TestMustAtOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		notes(t, db)
		if _, err := db.Writer(t.Context()).Do("INSERT INTO notes (id, n) VALUES ('a', 0)"); err != nil {
			t.Fatal(err)
		}
		late := errors.New("another was first")
		var lost atomic.Int32
		databasetest.Barrier(32, func(i int) {
			err := db.InTx(t.Context(), func(ctx context.Context) error {
				h := db.Writer(ctx)
				return errors.Join(h.Must(late, "UPDATE notes SET n = 1 WHERE id = 'a' AND n = 0 RETURNING 1"),
					h.Later("INSERT INTO notes (id, n) VALUES (?, 0)", fmt.Sprint("n", i)))
			})
			if errors.Is(err, late) {
				lost.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
		if got := len(texts(t, db)); lost.Load() != 31 || got != 2 {
			t.Errorf("%d were late, %d rows", lost.Load(), got)
		}
	})
}

// What only reads does not stand in line for SQLite's one writer, though it is
// sent together with what writes.
func TestTogetherReadsBesideAWriter(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		one := 0
		read := database.Query{Text: "SELECT 1", Each: func(r database.Row) error { one++; return r.Scan(new(int)) }}
		err := db.InTx(t.Context(), func(ctx context.Context) error {
			if _, err := db.Writer(ctx).Do("UPDATE pin_throttle SET fails = fails"); err != nil {
				return err
			}
			apart, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			return db.Writer(apart).Together(read, read)
		})
		if err != nil || one != 2 {
			t.Errorf("%d reads beside a transaction that writes, %v", one, err)
		}
	})
}
