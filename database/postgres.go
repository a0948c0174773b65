package database

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
)

// maxConns bounds one node's connections. The hot paths hold one for a
// millisecond or two, so a few per core are plenty.
const maxConns = 32

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
	p := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(timesInUTC))
	limit(p, maxConns)
	g, err := open(postgres.New(postgres.Config{Conn: pipelined{pool{p, o.Trace}}}))
	if err != nil {
		return nil, err
	}
	return &DB{dialect: Postgres, clock: o.Clock, write: g, read: g, pools: []*sql.DB{p}}, nil
}

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
