package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

// These bound one node's connections. The hot paths hold one for a millisecond
// or two, so a few per core are plenty. What only reads has its own: a service's
// question does not wait until others' commits are on the disk.
const maxWriting, maxReading = 20, 12

func openPostgres(url string, o Options) (*DB, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		// the driver's error would quote the URL, and with it the password
		return nil, fmt.Errorf("database URL cannot be read as a PostgreSQL address")
	}
	cfg.RuntimeParams["timezone"] = "UTC"
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "idp"
	}
	if o.Trip != nil {
		cfg.Tracer = trips(o.Trip)
	}
	db := &DB{dialect: Postgres, clock: o.Clock}
	for _, side := range []struct {
		g    **gorm.DB
		most int
	}{{&db.write, maxWriting}, {&db.read, maxReading}} {
		p := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(timesInUTC))
		limit(p, side.most)
		db.pools = append(db.pools, p)
		if *side.g, err = open(postgres.New(postgres.Config{Conn: pipelined{pool{DB: p, trace: o.Trace}}})); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return db, nil
}

// trips is called for a statement that is sent alone, and for a batch.
type trips func()

var (
	_ pgx.QueryTracer = trips(nil)
	_ pgx.BatchTracer = trips(nil)
)

// TraceQueryStart implements pgx.QueryTracer.
func (t trips) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	t()
	return ctx
}

// TraceBatchStart implements pgx.BatchTracer.
func (t trips) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	t()
	return ctx
}

// TraceQueryEnd, TraceBatchQuery and TraceBatchEnd have nothing to add.
func (trips) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchQuery implements pgx.BatchTracer.
func (trips) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (trips) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func timesInUTC(_ context.Context, c *pgx.Conn) error {
	c.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID,
		Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	return nil
}

func limit(p *sql.DB, n int) {
	p.SetMaxOpenConns(n)
	p.SetMaxIdleConns(n)
	p.SetConnMaxIdleTime(5 * time.Minute)
	p.SetConnMaxLifetime(30 * time.Minute)
}
