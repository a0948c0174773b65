package database_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

// However many wait for their commits, what only reads is answered.
func TestReadsHaveTheirOwnConnections(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		writers := db.SQL().Stats().MaxOpenConnections
		var held, all sync.WaitGroup
		held.Add(writers)
		for range writers {
			all.Go(func() {
				err := db.InTx(ctx, func(writing context.Context) error {
					var n int
					err := db.Write(writing).Raw("SELECT 1").Scan(&n).Error
					held.Done()
					held.Wait() // all that may write are writing
					return errors.Join(err, db.Read(ctx).Raw("SELECT 1").Scan(&n).Error)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
}
