package citizens

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// ImportOptions say what to do besides importing.
type ImportOptions struct {
	// SkipBad imports the good rows of a file that has bad ones.
	SkipBad bool
	// Deceased is called for each person of the registry that a row newly
	// reports dead, in the import's transaction; nil does nothing.
	Deceased func(ctx context.Context, id ID) error
	// Record is called at the end, in the import's transaction, if anything
	// was imported; nil does nothing.
	Record func(ctx context.Context, report ImportReport) error
}

// ImportReport says what became of a file.
type ImportReport struct {
	Imported int       `json:"imported"`
	Updated  int       `json:"updated"`
	Bad      []BadLine `json:"bad"` // in the order of the file
}

// BadLine is a row that was refused, by its line in the file (the header is
// line 1), and why. The reason never repeats what the row says.
type BadLine struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// ErrBadRows says that nothing was imported, because of the rows that the
// report lists as bad.
var ErrBadRows = errors.New("nothing imported: the file has bad rows")

// importBatch is how many rows are held in memory and written at once.
const importBatch = 500

// Import reads the citizens CSV and makes the registry say what it says, all
// in one transaction: new people are added, those already there are updated,
// and an empty cell leaves the value. Imported contacts count at once.
//
// With a bad row nothing is imported and ErrBadRows returned beside the report,
// unless SkipBad; a file that is no citizens CSV at all is another error.
// Called inside a transaction it joins that one, which the caller must then
// roll back on an error.
//
// Imports wait for each other. On PostgreSQL nobody else waits; SQLite has one
// writer, so there every other write waits meanwhile, about a second for
// 10,000 people.
func (r *Registry) Import(ctx context.Context, file io.Reader, o ImportOptions) (ImportReport, error) {
	run := &importRun{store: r.store, options: o, report: ImportReport{Bad: []BadLine{}}}
	err := run.open(ctx, file)
	if err == nil {
		err = r.db.InTx(ctx, run.all)
	}
	slices.SortStableFunc(run.report.Bad, func(a, b BadLine) int { return a.Line - b.Line })
	switch {
	case errors.Is(err, ErrBadRows):
		return ImportReport{Bad: run.report.Bad}, ErrBadRows
	case err != nil:
		return ImportReport{Bad: []BadLine{}}, fmt.Errorf("import citizens: %w", err)
	}
	return run.report, nil
}

// importRun is one import under way.
type importRun struct {
	store   *store
	source  *importFile
	options ImportOptions
	now     time.Time
	report  ImportReport

	batch []entry // read, not yet written
	last  bool
}

// open reads the header and the first rows before any transaction is open: a
// small file, however slowly it comes, then holds nobody up.
func (run *importRun) open(ctx context.Context, file io.Reader) (err error) {
	if run.source, err = openImport(file); err != nil {
		return err
	}
	if run.now, err = run.store.db.Now(ctx); err != nil {
		return err
	}
	return run.read()
}

// all goes on writing after a bad row, though it will be rolled back: whether a
// later row is good can depend on what an earlier one brought.
func (run *importRun) all(ctx context.Context) error {
	if err := run.store.lock(ctx); err != nil {
		return err
	}
	for {
		if err := run.write(ctx, run.batch); err != nil {
			return err
		}
		if run.last {
			return run.finish(ctx)
		}
		if err := run.read(); err != nil {
			return err
		}
	}
}

// read collects the next good rows, and the bad ones among them.
func (run *importRun) read() error {
	today := DateOf(run.now)
	run.batch = run.batch[:0]
	for len(run.batch) < importBatch {
		line, cells, err := run.source.next()
		var bad *badRowError
		switch {
		case errors.Is(err, io.EOF):
			run.last = true
			return nil
		case errors.As(err, &bad):
			run.bad(line, bad)
			continue
		case err != nil:
			return err
		}
		e, bad := parseEntry(line, run.source.columns, cells, today)
		if bad != nil {
			run.bad(line, bad)
			continue
		}
		run.batch = append(run.batch, e)
	}
	return nil
}

func (run *importRun) write(ctx context.Context, batch []entry) error {
	if len(batch) == 0 {
		return nil
	}
	people, err := run.store.load(ctx, batch)
	if err != nil {
		return err
	}
	for _, e := range batch {
		if err := people.merge(e, run.now); err != nil {
			var bad *badRowError
			if !errors.As(err, &bad) {
				return err
			}
			run.bad(e.line, bad)
		}
	}
	run.report.Imported += people.imported
	run.report.Updated += people.updated
	if err := run.store.save(ctx, people); err != nil {
		return err
	}
	if run.options.Deceased == nil {
		return nil
	}
	for _, id := range people.deceased {
		if err := run.options.Deceased(ctx, id); err != nil {
			return fmt.Errorf("follow a death: %w", err)
		}
	}
	return nil
}

func (run *importRun) finish(ctx context.Context) error {
	if len(run.report.Bad) > 0 && !run.options.SkipBad {
		return ErrBadRows
	}
	if run.options.Record == nil || run.report.Imported+run.report.Updated == 0 {
		return nil
	}
	return run.options.Record(ctx, run.report)
}

func (run *importRun) bad(line int, e *badRowError) {
	run.report.Bad = append(run.report.Bad, BadLine{line, e.reason})
}
