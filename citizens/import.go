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
	Imported, Updated int
	Bad               []BadLine // in the order of the file
}

// BadLine is a row that was refused, by its line in the file (the header is
// line 1), and why. The reason never repeats what the row says.
type BadLine struct {
	Line   int
	Reason string
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
// Imports wait for each other, sign-ins wait for none. Called inside a
// transaction it joins that one, which the caller must then roll back on an error.
func (r *Registry) Import(ctx context.Context, file io.Reader, o ImportOptions) (ImportReport, error) {
	source, err := openImport(file)
	if err != nil {
		return ImportReport{}, fmt.Errorf("import citizens: %w", err)
	}
	run := &importRun{store: r.store, source: source, options: o}
	err = r.db.InTx(ctx, run.all)
	slices.SortStableFunc(run.report.Bad, func(a, b BadLine) int { return a.Line - b.Line })
	switch {
	case errors.Is(err, ErrBadRows):
		return ImportReport{Bad: run.report.Bad}, ErrBadRows
	case err != nil:
		return ImportReport{}, fmt.Errorf("import citizens: %w", err)
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
}

// all goes on writing after a bad row, though it will be rolled back: whether a
// later row is good can depend on what an earlier one brought.
func (run *importRun) all(ctx context.Context) (err error) {
	if err := run.store.lock(ctx); err != nil {
		return err
	}
	if run.now, err = run.store.db.Now(ctx); err != nil {
		return err
	}
	for last := false; !last; {
		var batch []entry
		if batch, last, err = run.read(); err != nil {
			return err
		}
		if err := run.write(ctx, batch); err != nil {
			return err
		}
	}
	return run.finish(ctx)
}

// read collects the next good rows, and the bad ones among them.
func (run *importRun) read() (batch []entry, last bool, err error) {
	today := DateOf(run.now)
	for len(batch) < importBatch {
		line, cells, err := run.source.next()
		var bad *badRowError
		switch {
		case errors.Is(err, io.EOF):
			return batch, true, nil
		case errors.As(err, &bad):
			run.bad(line, bad)
			continue
		case err != nil:
			return nil, false, err
		}
		e, bad := parseEntry(line, run.source.columns, cells, today)
		if bad != nil {
			run.bad(line, bad)
			continue
		}
		batch = append(batch, e)
	}
	return batch, false, nil
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
