package citizens

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func FuzzImportFile(f *testing.F) {
	f.Add("fiscal_code,given_name,family_name\nRSSMRA80A01H501U,Mario,Rossi\n")
	f.Add("\ufefffamily_name,fiscal_code,given_name,pec\r\n\"a\nb\",x,\"\"\"\",\xff\r\n\r\n,,,\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := openImport(strings.NewReader(text))
		if err != nil {
			return
		}
		lines, last := strings.Count(text, "\n")+1, 1
		for {
			line, cells, err := file.next()
			var bad *badRowError
			switch {
			case errors.Is(err, io.EOF):
				return
			case errors.As(err, &bad):
			case err != nil:
				return // a row without end
			case len(cells) != len(file.columns):
				t.Fatalf("line %d has %d cells for %d columns", line, len(cells), len(file.columns))
			default:
				_, _ = parseEntry(line, file.columns, cells, today)
			}
			if line <= last || line > lines {
				t.Fatalf("line %d comes after %d, of %d", line, last, lines)
			}
			last = line
		}
	})
}
