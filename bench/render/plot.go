package render

import (
	"fmt"
	"math"
	"strings"
)

// colours are told apart by who does not see all of them, and have shapes too.
var marks = map[string]struct{ colour, shape string }{
	"idp":         {"#0059b3", "M-6,-6h12v12h-12z"},
	"idp-sqlite":  {"#5c9ddb", "M-6,-6h12v12h-12z"},
	"peer":        {"#b35900", "M0,-7l7,12h-14z"},
	"peer-memory": {"#e0a060", "M0,-7l7,12h-14z"},
	"floor":       {"#444", "M-6,0a6,6 0 1,0 12,0a6,6 0 1,0 -12,0z"},
}

const (
	plotWidth, plotLeft, plotRow, plotTop = 900.0, 150.0, 34.0, 76.0
)

// Plots are the images by the names that Markdown gives them.
func Plots(r Run) map[string]string {
	return map[string]string{
		"performance-cpu.svg": dots(r, "Processor time of one operation, milliseconds (each line is ten times the one before)", Figure.CPU),
		"performance-p99.svg": dots(r, "Latency, the slowest of a hundred, milliseconds (each line is ten times the one before)", func(f Figure) float64 { return f.P99 }),
	}
}

// dots is a plot with a row for each scenario and a mark for each server. Its
// scale is logarithmic: what counts is how many times.
func dots(r Run, title string, value func(Figure) float64) string {
	low, high := math.Inf(1), math.Inf(-1)
	for _, f := range r.Figures {
		if v := value(f); v > 0 {
			low, high = min(low, v), max(high, v)
		}
	}
	first, last := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	x := func(v float64) float64 {
		return plotLeft + (math.Log10(v)-first)/(last-first)*(plotWidth-plotLeft-30)
	}
	height := plotTop + plotRow*float64(len(r.scenarios())) + 30
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="14" role="img" aria-label="%s">`+"\n", plotWidth, height, title)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/><text x="12" y="24" font-weight="bold">%s</text>`+"\n", title)
	legend(&b)
	for e := first; e <= last; e++ {
		at := x(math.Pow(10, e))
		fmt.Fprintf(&b, `<path d="M%.1f,%.0fV%.0f" stroke="#ccc"/><text x="%.1f" y="%.0f" text-anchor="middle" fill="#444">%g</text>`+"\n", at, plotTop-10, height-26, at, height-8, math.Pow(10, e))
	}
	for i, s := range r.scenarios() {
		y := plotTop + plotRow*(float64(i)+0.5)
		fmt.Fprintf(&b, `<text x="%.0f" y="%.1f" text-anchor="end">%s</text><path d="M%.0f,%.1fH%.0f" stroke="#eee"/>`+"\n", plotLeft-14, y+5, s, plotLeft, y, plotWidth-30)
		for _, t := range titles {
			if f, ok := r.find(s, t[0]); ok && value(f) > 0 {
				mark(&b, t[0], x(value(f)), y, fmt.Sprintf("%s, %s: %s ms", s, t[1], micro(value(f))))
			}
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func legend(b *strings.Builder) {
	at := 20.0
	for _, t := range titles {
		mark(b, t[0], at, 45, t[1])
		fmt.Fprintf(b, `<text x="%.0f" y="50">%s</text>`+"\n", at+12, t[1])
		at += 36 + 7.2*float64(len(t[1]))
	}
}

func mark(b *strings.Builder, server string, x, y float64, words string) {
	m := marks[server]
	fmt.Fprintf(b, `<path transform="translate(%.1f,%.1f)" d="%s" fill="%s" fill-opacity="0.9"><title>%s</title></path>`+"\n", x, y, m.shape, m.colour, words)
}
