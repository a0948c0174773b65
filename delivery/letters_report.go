package delivery

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// BadLine is a row of a file that could not be taken. The header is line 1.
type BadLine struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// LettersSummary says what a print service's report brought.
type LettersSummary struct {
	Posted   int       `json:"posted"`
	Returned int       `json:"returned"`
	Known    int       `json:"known"` // told before
	Bad      []BadLine `json:"bad"`
}

// LettersReport takes what the print service says: CSV with the columns
// letter_id, status (posted, returned) and date (YYYY-MM-DD), in any order,
// others passed over. Each row counts for itself: what has happened has
// happened, whatever the next row says. The same file may come again.
func (o *Outcomes) LettersReport(ctx context.Context, r io.Reader) (LettersSummary, error) {
	rows := csv.NewReader(r)
	rows.FieldsPerRecord = -1
	header, err := rows.Read()
	if err != nil {
		return LettersSummary{}, errors.New("read the letters' report: it has no header")
	}
	columns, err := reportColumns(header)
	if err != nil {
		return LettersSummary{}, err
	}
	var s LettersSummary
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return s, errors.New("read the letters' report: it is no CSV") // err could quote it
		}
		line, _ := rows.FieldPos(0)
		if err := o.letterRow(ctx, &s, line, columns, row); err != nil {
			return s, err
		}
	}
}

func (o *Outcomes) letterRow(ctx context.Context, s *LettersSummary, line int, columns map[string]int, row []string) error {
	report, err := letterReport(columns, row)
	if err != nil {
		s.Bad = append(s.Bad, BadLine{line, err.Error()})
		return nil
	}
	fresh, err := o.Record(ctx, report)
	switch {
	case errors.Is(err, ErrUnknownDelivery):
		s.Bad = append(s.Bad, BadLine{line, "no letter of this letter_id was made"})
	case err != nil:
		return err
	case !fresh:
		s.Known++
	case report.Result == LetterReturned:
		s.Returned++
	default:
		s.Posted++
	}
	return nil
}

// reportColumns finds the columns by name.
func reportColumns(header []string) (map[string]int, error) {
	columns := map[string]int{}
	for i, name := range header {
		columns[strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))] = i // a spreadsheet's mark
	}
	for _, name := range []string{"letter_id", "status", "date"} {
		if _, ok := columns[name]; !ok {
			return nil, fmt.Errorf("read the letters' report: the header must name letter_id, status and date; %s is missing", name)
		}
	}
	return columns, nil
}

func letterReport(columns map[string]int, row []string) (Report, error) {
	field := func(name string) string {
		if i := columns[name]; i < len(row) {
			return strings.TrimSpace(row[i])
		}
		return ""
	}
	r := Report{Delivery: field("letter_id"), Channel: Post, Result: Result(field("status"))}
	if !slices.Contains(results(Post), r.Result) {
		return Report{}, errors.New("status is neither posted nor returned")
	}
	var err error
	if r.At, err = time.Parse(time.DateOnly, field("date")); err != nil {
		return Report{}, errors.New("date is not YYYY-MM-DD")
	}
	return r, nil
}
