package database_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

func table(t *testing.T, db *database.DB) context.Context {
	t.Helper()
	ctx := t.Context()
	kind := map[database.Dialect]string{database.Postgres: "timestamptz", database.SQLite: "datetime"}[db.Dialect()]
	if err := db.Write(ctx).Exec("CREATE TABLE marks (id integer PRIMARY KEY, at " + kind + ")").Error; err != nil {
		t.Fatal(err)
	}
	return ctx
}

func count(t *testing.T, db *database.DB, ctx context.Context) (n int) {
	t.Helper()
	if err := db.Read(ctx).Raw("SELECT count(*) FROM marks").Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

func TestInTxJoinsAndRollsBack(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := table(t, db)
		stop := errors.New("stop")
		insert := func(ctx context.Context) error { return db.Write(ctx).Exec("INSERT INTO marks (id) VALUES (1)").Error }
		var after int
		err := db.InTx(ctx, func(ctx context.Context) error {
			if !database.Inside(ctx) {
				t.Error("Inside = false in a transaction")
			}
			if err := db.InTx(ctx, insert); err != nil {
				return err
			}
			db.AfterCommit(ctx, func() { after++ })
			if got := count(t, db, ctx); got != 1 {
				t.Errorf("rows seen inside = %d, want 1", got)
			}
			return stop
		})
		if !errors.Is(err, stop) {
			t.Fatalf("err = %v, want stop", err)
		}
		if got := count(t, db, ctx); got != 0 || after != 0 {
			t.Errorf("after rollback: %d rows, %d hooks, want none", got, after)
		}
		if err := db.InTx(ctx, func(ctx context.Context) error {
			db.AfterCommit(ctx, func() { after++ })
			return insert(ctx)
		}); err != nil {
			t.Fatal(err)
		}
		if got := count(t, db, ctx); got != 1 || after != 1 {
			t.Errorf("after commit: %d rows, %d hooks, want 1 and 1", got, after)
		}
	})
}

func TestClockShift(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		ctx := table(t, a)
		if err := a.Write(ctx).Exec("INSERT INTO marks (id, at) VALUES (1, ?)", a.NowPlus(time.Hour)).Error; err != nil {
			t.Fatal(err)
		}
		due := func() (n int) {
			if err := b.Read(ctx).Raw("SELECT count(*) FROM marks WHERE at <= ?", b.NowExpr()).Scan(&n).Error; err != nil {
				t.Fatal(err)
			}
			return n
		}
		before, err := b.Now(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got := due(); got != 0 {
			t.Errorf("due before the shift = %d, want 0", got)
		}
		databasetest.Shift(t, a, time.Hour+time.Second)
		if got := due(); got != 1 {
			t.Errorf("due after the shift = %d, want 1", got)
		}
		after, err := b.Now(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if d := after.Sub(before); d < time.Hour || d > time.Hour+time.Minute {
			t.Errorf("the clock moved by %v, want an hour", d)
		}
	})
}

// Times must compare in SQL as they do in Go, whatever zone and fraction they
// are written with: SQLite compares them as text.
func TestTimesCompareInSQL(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := table(t, db)
		rome := time.FixedZone("Rome", 3600)
		base := time.Date(2026, 11, 18, 10, 37, 12, 0, rome)
		times := []time.Time{base, base.Add(time.Microsecond).UTC(), base.Add(100 * time.Millisecond), base.Add(time.Second).UTC(), base.Add(time.Minute)}
		for i, at := range times {
			if err := db.Write(ctx).Exec("INSERT INTO marks (id, at) VALUES (?, ?)", i, at).Error; err != nil {
				t.Fatal(err)
			}
		}
		for i, at := range times {
			var n int
			if err := db.Read(ctx).Raw("SELECT count(*) FROM marks WHERE at < ?", at).Scan(&n).Error; err != nil {
				t.Fatal(err)
			}
			if n != i {
				t.Errorf("rows before time %d = %d, want %d", i, n, i)
			}
		}
		var back database.Time
		if err := db.Write(ctx).Raw("UPDATE marks SET at = at WHERE id = 1 RETURNING at").Row().Scan(&back); err != nil {
			t.Fatal(err)
		}
		if !back.Equal(times[1]) || back.Location() != time.UTC {
			t.Errorf("RETURNING gave %v, want %v in UTC", back, times[1])
		}
	})
}

func TestManyWriters(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		ctx := table(t, a)
		nodes := []*database.DB{a, b}
		databasetest.Barrier(64, func(i int) {
			db := nodes[i%2]
			if err := db.InTx(ctx, func(ctx context.Context) error {
				count(t, db, ctx)
				return db.Write(ctx).Exec("INSERT INTO marks (id) VALUES (?)", i).Error
			}); err != nil {
				t.Error(err)
			}
		})
		if got := count(t, a, ctx); got != 64 {
			t.Errorf("rows = %d, want 64", got)
		}
	})
}

func TestReadPoolNeverWrites(t *testing.T) {
	url := databasetest.SQLite(t)
	db := databasetest.Open(t, url, &database.Clock{})
	ctx := table(t, db)
	if err := db.Read(ctx).Exec("INSERT INTO marks (id) VALUES (1)").Error; err == nil {
		t.Error("the read pool wrote")
	}
}

func TestUnavailable(t *testing.T) {
	db, err := database.Open(t.Context(), "postgres:///x?host=/nonexistent&user=x", database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Ping(t.Context()); !database.IsUnavailable(err) {
		t.Errorf("IsUnavailable(%v) = false", err)
	}
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		err := db.Write(t.Context()).Exec("INSERT INTO nowhere VALUES (1)").Error
		if err == nil || database.IsUnavailable(err) {
			t.Errorf("IsUnavailable(%v) = true for a fault of ours", err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := db.Ping(context.Background()); !database.IsUnavailable(err) {
			t.Errorf("IsUnavailable(%v) = false for a closed pool", err)
		}
	})
}

func TestSQLiteFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.db")
	db := databasetest.Open(t, "sqlite:"+path, &database.Clock{})
	table(t, db)
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("files = %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v), want 0600", filepath.Base(f), info.Mode(), err)
		}
	}
}

func TestOpenRefusesOtherURLs(t *testing.T) {
	if _, err := database.Open(t.Context(), "mysql://x", database.Options{}); err == nil {
		t.Error("Open accepted mysql://")
	}
}
