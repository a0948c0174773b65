package citizens

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// badRowError refuses one row of a file, not the file.
type badRowError struct{ reason string }

func (e *badRowError) Error() string { return e.reason }

// importFile reads the rows of a citizens CSV, one at a time.
type importFile struct {
	columns []string // by position
	csv     *csv.Reader
	meter   *meter
	last    int // line of the row read last
}

const (
	// maxRecord bounds a row: a quote that nobody closes must not draw the
	// rest of a file into memory.
	maxRecord = 64 << 10
	maxCell   = 200
)

// openImport reads the header. Columns may come in any order, and those that
// are not obligatory may be missing, which is as if all their cells were empty.
func openImport(file io.Reader) (*importFile, error) {
	m := &meter{file: file, left: maxRecord}
	buffered := bufio.NewReader(m)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = buffered.Discard(3) // spreadsheets put a byte order mark first
	}
	f := &importFile{csv: csv.NewReader(buffered), meter: m, last: 1}
	f.csv.ReuseRecord = true
	header, err := f.csv.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("line 1: the header is missing")
	case err != nil:
		return nil, fmt.Errorf("read the header: %w", err)
	}
	for _, name := range header {
		f.columns = append(f.columns, strings.TrimSpace(name))
	}
	return f, checkHeader(f.columns)
}

func checkHeader(columns []string) error {
	known := CSVColumns()
	for i, name := range columns {
		switch {
		case !slices.Contains(known, name):
			return fmt.Errorf("line 1: no such column: %.40q", name)
		case slices.Contains(columns[:i], name):
			return fmt.Errorf("line 1: column %s stands twice", name)
		}
	}
	for _, name := range []string{colFiscalCode, colGivenName, colFamilyName} {
		if !slices.Contains(columns, name) {
			return fmt.Errorf("line 1: column %s is missing", name)
		}
	}
	return nil
}

// next returns the next row and its line: cells trimmed and clean, good until
// the next call. A row that cannot be read is a *badRowError, the end io.EOF.
func (f *importFile) next() (line int, cells []string, err error) {
	f.meter.left = maxRecord
	cells, err = f.csv.Read()
	var parse *csv.ParseError
	switch {
	case errors.Is(err, csv.ErrFieldCount):
		line, _ = f.csv.FieldPos(0)
		return line, nil, &badRowError{fmt.Sprintf("has %d cells, the header %d", len(cells), len(f.columns))}
	case errors.As(err, &parse):
		return parse.StartLine, nil, &badRowError{"a quotation mark stands where none may, or is not closed"}
	case errors.Is(err, io.EOF):
		return 0, nil, io.EOF
	case err != nil:
		return 0, nil, fmt.Errorf("read the file after line %d: %w", f.last, err)
	}
	line, _ = f.csv.FieldPos(0)
	f.last = line
	for i, cell := range cells {
		cells[i] = strings.TrimSpace(cell)
		if problem := unclean(cells[i]); problem != "" {
			return line, nil, &badRowError{f.columns[i] + ": " + problem}
		}
	}
	return line, cells, nil
}

// unclean returns what keeps a text out of the database and off a page, or "".
func unclean(cell string) string {
	switch {
	case !utf8.ValidString(cell):
		return "is not UTF-8"
	case utf8.RuneCountInString(cell) > maxCell:
		return fmt.Sprintf("is longer than %d characters", maxCell)
	case strings.ContainsFunc(cell, unicode.IsControl):
		return "has a control character"
	}
	return ""
}

// meter fails once more was read than a row may have.
type meter struct {
	file io.Reader
	left int
}

var errRecordLength = fmt.Errorf("a row is longer than %d KiB: is a quotation mark not closed?", maxRecord>>10)

func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, errRecordLength
	}
	n, err := m.file.Read(p)
	m.left -= n
	return n, err
}
