package database

import (
	"context"
	"strconv"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Row is a row that has been read and waits to be scanned.
type Row interface{ Scan(dest ...any) error }

// sender carries finished statements to the database: a pool, or the one
// connection of a transaction.
type sender interface {
	query(ctx context.Context, q string, args []any, each func(Row) error) error
	exec(ctx context.Context, q string, args []any) (int64, error)
	// together takes finished queries.
	together(ctx context.Context, queries []Query) error
	// later may keep the statement back until the next one, or the commit.
	later(ctx context.Context, q string, args []any) error
	// must is later with an error where the statement returns no row.
	must(ctx context.Context, missing error, q string, args []any) error
}

var (
	_ sender = pool{}
	_ sender = (*transaction)(nil)
	_ sender = pipelined{}
	_ sender = (*pipeline)(nil)
)

// Handle sends statements as they are written and scans rows into what it is
// given. gorm builds and scans by reflection, which costs more than a small
// statement does; so what every sign-in and every token asks goes this way
// (decision 0037), and everything else is gorm's.
//
// A statement has ? where an argument goes, and nowhere else. An argument may
// be an expression (DB.NowExpr), which stands as it is, a Subquery, or a []any,
// which becomes a list in parentheses.
type Handle struct {
	ctx context.Context
	db  *DB
	to  sender
}

// Reader is Read without gorm.
func (db *DB) Reader(ctx context.Context) Handle { return db.handle(ctx, db.read) }

// Writer is Write without gorm.
func (db *DB) Writer(ctx context.Context) Handle { return db.handle(ctx, db.write) }

func (db *DB) handle(ctx context.Context, pool *gorm.DB) Handle {
	from := pool.ConnPool
	if t := db.current(ctx); t != nil {
		from = t.gorm.Statement.ConnPool
	}
	return Handle{ctx: ctx, db: db, to: from.(sender)}
}

// One reads one row into dest. False: there is none.
func (h Handle) One(q string, args []any, dest ...any) (found bool, err error) {
	err = h.All(q, args, func(r Row) error {
		found = true
		return r.Scan(dest...)
	})
	return found, err
}

// All calls each for every row. A statement must not be sent from within each:
// the connection is busy.
func (h Handle) All(q string, args []any, each func(Row) error) error {
	q, args = h.finish(q, args)
	return h.db.translate(h.to.query(h.ctx, q, args, each))
}

// Query is a statement that has rows, read or told by RETURNING, and who takes
// them.
type Query struct {
	Text   string
	Args   []any
	Each   func(Row) error
	Writes bool // and so needs a Writer
}

// Together sends queries in order and, where the database can, in one round trip.
// Each sees what it would see alone; one that fails ends those behind it.
func (h Handle) Together(queries ...Query) error {
	finished := make([]Query, len(queries))
	for i, r := range queries {
		finished[i].Text, finished[i].Args = h.finish(r.Text, r.Args)
		finished[i].Each, finished[i].Writes = r.Each, r.Writes
	}
	if len(finished) == 1 {
		return h.db.translate(h.to.query(h.ctx, finished[0].Text, finished[0].Args, finished[0].Each))
	}
	return h.db.translate(h.to.together(h.ctx, finished))
}

// Subquery is an argument that the database looks up: a SELECT of one value,
// written by the package whose table it reads.
type Subquery struct {
	Text string
	Args []any
}

// Do says how many rows a statement has touched.
func (h Handle) Do(q string, args ...any) (int64, error) {
	q, args = h.finish(q, args)
	n, err := h.to.exec(h.ctx, q, args)
	return n, h.db.translate(err)
}

// Later is for a write whose outcome nobody waits for. In a transaction it may
// travel with the next statement or with the COMMIT, and its error is theirs.
// Outside of one it is Do.
func (h Handle) Later(q string, args ...any) error {
	q, args = h.finish(q, args)
	return h.db.translate(h.to.later(h.ctx, q, args))
}

// Must is for a write or a lock without whose row the transaction is void: q
// returns something of that row (RETURNING 1), and where there is none, missing
// is the error. Like Later it may travel with the next statement or with the
// COMMIT, whose error missing is then, and nothing of the transaction happens.
func (h Handle) Must(missing error, q string, args ...any) error {
	q, args = h.finish(q, args)
	return h.db.translate(h.to.must(h.ctx, missing, q, args))
}

// translate gives the drivers' constraint errors gorm's names.
func (db *DB) translate(err error) error {
	t, ok := db.write.Dialector.(gorm.ErrorTranslator)
	if err == nil || !ok {
		return err
	}
	return t.Translate(err)
}

// finish puts placeholders of the dialect and expressions where each ? stands.
func (h Handle) finish(q string, args []any) (string, []any) {
	b := builder{numbered: h.db.dialect == Postgres, args: make([]any, 0, len(args))}
	b.text.Grow(len(q) + 64)
	b.write(q, args)
	return b.text.String(), b.args
}

// builder writes a statement's text and collects its arguments.
type builder struct {
	numbered bool // $1, $2, … in place of ?
	text     strings.Builder
	args     []any
}

func (b *builder) write(q string, args []any) {
	for _, a := range args {
		i := strings.IndexByte(q, '?')
		if i < 0 {
			break // the database will say that there are too many
		}
		b.text.WriteString(q[:i])
		b.argument(a)
		q = q[i+1:]
	}
	b.text.WriteString(q)
}

func (b *builder) argument(a any) {
	switch v := a.(type) {
	case clause.Expr:
		b.write(v.SQL, v.Vars)
	case Subquery:
		b.write("("+v.Text+")", v.Args)
	case []any:
		b.write("("+strings.TrimSuffix(strings.Repeat("?, ", len(v)), ", ")+")", v)
	default:
		b.args = append(b.args, a)
		b.placeholder(len(b.args))
	}
}

func (b *builder) placeholder(n int) {
	if !b.numbered {
		b.text.WriteByte('?')
		return
	}
	b.text.WriteByte('$')
	b.text.WriteString(strconv.Itoa(n))
}
