package database_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

const note = "INSERT INTO notes (id, n, at)"

// What a transaction gathers is in it, all of it and with its commit, and goes
// with it where there is none.
func TestGather(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		notes(t, db)
		gather := func(ctx context.Context, from, to int) (err error) {
			for i := from; i < to && err == nil; i++ {
				err = db.Writer(ctx).Gather(note, fmt.Sprintf("%02d", i), i, db.NowExpr())
			}
			return err
		}
		boom := errors.New("boom")
		for _, row := range []struct {
			what       string
			rows       int
			after      error
			statements int
		}{
			{"nothing", 0, nil, 0}, {"one", 1, nil, 1}, {"some", 3, nil, 1}, {"as many as go at once", 16, nil, 1},
			{"more", 40, nil, 3}, {"some, undone", 3, boom, 0}, {"more, undone", 40, boom, 2},
		} {
			if _, err := db.Writer(t.Context()).Do("DELETE FROM notes"); err != nil {
				t.Fatal(err)
			}
			c := databasetest.Count(t, db)
			err := db.InTx(t.Context(), func(ctx context.Context) error {
				// joined by who is called, and with another's statements in between
				err := errors.Join(gather(ctx, 0, row.rows/2), db.InTx(ctx, func(ctx context.Context) error { return gather(ctx, row.rows/2, row.rows) }))
				return errors.Join(err, row.after)
			})
			writes := slices.DeleteFunc(c.Writes(), func(q string) bool { return !strings.HasPrefix(q, "INSERT") })
			if !errors.Is(err, row.after) || len(writes) != row.statements {
				t.Errorf("%s: %v after %d statements, want %d", row.what, err, len(writes), row.statements)
			}
			want := row.rows
			if row.after != nil {
				want = 0
			}
			if got := texts(t, db); len(got) != want {
				t.Errorf("%s: %d rows, want %d", row.what, len(got), want)
			}
		}
		c := databasetest.Count(t, db)
		if err := gather(t.Context(), 90, 92); err != nil || len(c.Writes()) != 2 {
			t.Errorf("without a transaction: %v, %d statements", err, len(c.Writes()))
		}
	})
}

// What cannot be written undoes its transaction, and nobody is told that it
// happened.
func TestGatheredMustBeWritten(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		notes(t, db)
		done := false
		err := db.InTx(t.Context(), func(ctx context.Context) error {
			db.AfterCommit(ctx, func() { done = true })
			w := db.Writer(ctx)
			return errors.Join(w.Gather(note, "a", 1, nil), w.Gather(note, "a", 2, nil), w.Later("INSERT INTO notes (id, n) VALUES (?, ?)", "b", 1))
		})
		if !errors.Is(err, gorm.ErrDuplicatedKey) || done {
			t.Errorf("a key twice: %v, told of a commit: %v", err, done)
		}
		if got := texts(t, db); len(got) != 0 {
			t.Errorf("left: %q", got)
		}
	})
}
