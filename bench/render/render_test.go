package render

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func run(idp, floor, peer float64) Run {
	return Run{Rounds: 1, Workers: 2, Figures: []Figure{
		{Scenario: "exchange", Server: "idp", Program: idp / 2, Database: idp / 2, P99: 3, Statements: 3, Rows: map[string]float64{"grants": 1, "audit_chain": 2}},
		{Scenario: "exchange", Server: "floor", Program: floor, P99: 1},
		{Scenario: "exchange", Server: "peer", Program: peer, P99: 10},
	}}
}

// A goal is missed when either of its two parts is.
func TestGoals(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name             string
		idp, floor, peer float64
		want             string
	}{
		{"both met", 2, 1, 5, "| exchange | 2.00 | × 2.00 | × 2 | 1/2.50 | 1/2.5 | met |"},
		{"too far from the floor", 2.1, 1, 10, "| × 2.10 | × 2 | 1/4.76 | 1/2.5 | **missed** |"},
		{"too near to the peer", 2, 1, 4, "| × 2.00 | × 2 | 1/2.00 | 1/2.5 | **missed** |"},
		{"slower than the peer", 2, 1, 1, "| × 2.00 | 1/2.5 | **missed** |"},
	} {
		if got := Markdown(run(row.idp, row.floor, row.peer), nil); !strings.Contains(got, row.want) {
			t.Errorf("%s: no %q in\n%s", row.name, row.want, got)
		}
	}
}

// The goals with RSA are for what is left without the signature, which costs
// Node and Go not the same.
func TestSignatures(t *testing.T) {
	t.Parallel()
	r := Run{Signatures: Signatures{Go: 2, Node: 3}, Figures: []Figure{
		{Scenario: "refresh-rs256", Server: "idp", Program: 3, Database: 1},
		{Scenario: "refresh-rs256", Server: "floor", Program: 2.5, Database: 0.5},
		{Scenario: "refresh-rs256", Server: "peer", Program: 8},
	}}
	want := "| refresh-rs256 | 4.00 | 3.00 | 8.00 | 2.00 | 1.00 | 5.00 | × 2.00 | × 2 | 1/2.50 | 1/2.5 | met |"
	if got := Markdown(r, nil); !strings.Contains(got, want) {
		t.Errorf("no %q in\n%s", want, got)
	}
	r.Figures[0].Program = 3.1
	if got := Markdown(r, nil); !strings.Contains(got, "× 2.10 | × 2 | 1/2.38 | 1/2.5 | **missed** |") {
		t.Errorf("not missed:\n%s", got)
	}
	if got := Markdown(run(2, 1, 5), nil); strings.Contains(got, "RS256") {
		t.Errorf("a table where no signature was measured:\n%s", got)
	}
}

func TestBeforeAndAfter(t *testing.T) {
	t.Parallel()
	before := run(4, 1, 5)
	got := Markdown(run(2, 1, 5), &before)
	if want := "| exchange | 4.00 | 2.00 | 4.00 | 2.00 | 3.00 → 3.00 |"; !strings.Contains(got, want) {
		t.Errorf("no %q in\n%s", want, got)
	}
	if want := "audit_chain 2.00, grants 1.00"; !strings.Contains(got, want) {
		t.Errorf("no %q in\n%s", want, got)
	}
}

// Both plots are XML with a mark for each figure, beside the legend's.
func TestPlots(t *testing.T) {
	t.Parallel()
	for name, image := range Plots(run(2, 1, 5)) {
		marks := 0
		for d := xml.NewDecoder(strings.NewReader(image)); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "title" {
				marks++
			}
		}
		if want := len(titles) + 3; marks != want {
			t.Errorf("%s has %d marks, want %d", name, marks, want)
		}
	}
}
