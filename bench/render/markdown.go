package render

import (
	"fmt"
	"slices"
	"strings"
)

// Markdown is everything that was measured: goals, then each figure. before is
// an older run to compare with; nil for none.
func Markdown(r Run, before *Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, commit `%s`. %s; %s. Load of the machine before: %.1f.\n%d rounds of %s each with %d workers; medians.\n\n",
		r.Date, r.Commit, r.Machine, r.With, r.Load, r.Rounds, r.Window, r.Workers)
	b.WriteString("![Processor time of one operation](images/performance-cpu.svg)\n\n![Latency, the slowest of a hundred](images/performance-p99.svg)\n\n")
	r.goals(&b)
	r.signed(&b)
	if before != nil {
		r.compare(&b, *before)
	}
	r.figures(&b)
	r.counts(&b)
	r.crowd(&b)
	return b.String()
}

// goals compares with floor and peer.
func (r Run) goals(b *strings.Builder) {
	b.WriteString("### Goals\n\nProcessor time of program and database for one operation, on PostgreSQL.\n\n" +
		"| scenario | idp, ms | of the floor | at most | of oidc-provider | at most | |\n|---|---|---|---|---|---|---|\n")
	for _, g := range goals {
		own, ok := r.find(g.scenario, "idp")
		if !ok {
			continue
		}
		fmt.Fprintf(b, "| %s | %s | %s\n", g.scenario, micro(own.CPU()), r.judged(g))
	}
	b.WriteString("\n")
}

// signed compares what is left of the scenarios with RSA without the signature.
func (r Run) signed(b *strings.Builder) {
	if r.Signatures.Go == 0 {
		return
	}
	fmt.Fprintf(b, "### ID tokens signed with RS256\n\nRSA of 3072 bits, milliseconds. The signature alone takes %s in Go and %s in Node on this machine; "+
		"the goals are for what is left without it.\n\n", number(r.Signatures.Go), number(r.Signatures.Node))
	b.WriteString("| scenario | idp | floor | oidc-provider | without it: idp | floor | oidc-provider | of the floor | at most | of oidc-provider | at most | |\n" +
		"|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	rest := r.without()
	for _, g := range rs256 {
		if _, ok := r.find(g.scenario, "idp"); !ok {
			continue
		}
		fmt.Fprintf(b, "| %s |", g.scenario)
		for _, run := range []Run{r, rest} {
			for _, server := range []string{"idp", "floor", "peer"} {
				f, _ := run.find(g.scenario, server)
				fmt.Fprintf(b, " %s |", micro(f.CPU()))
			}
		}
		fmt.Fprintf(b, " %s\n", rest.judged(g))
	}
	b.WriteString("\n")
}

// without is the run with what one signature takes taken off each figure.
func (r Run) without() Run {
	r.Figures = slices.Clone(r.Figures)
	for i := range r.Figures {
		one := r.Signatures.Go
		if strings.HasPrefix(r.Figures[i].Server, "peer") {
			one = r.Signatures.Node
		}
		r.Figures[i].Both = r.Figures[i].CPU() - one
	}
	return r
}

// judged is how far a goal is away on both sides, and whether it is met.
func (r Run) judged(g goal) string {
	own, _ := r.find(g.scenario, "idp")
	floor, met1 := ratio(r, g.scenario, own, "floor", g.floor, g.floor)
	peer, met2 := ratio(r, g.scenario, own, "peer", g.peer, 1/g.peer)
	word := "met"
	if !met1 || !met2 {
		word = "**missed**"
	}
	return fmt.Sprintf("%s | %s | %s | %s | %s |", floor, limit("× ", g.floor), peer, limit("1/", g.peer), word)
}

func limit(sign string, v float64) string {
	if v == 0 {
		return "–"
	}
	return sign + fmt.Sprint(v)
}

// ratio is own's time in that of another; asked is 0 where nothing is.
func ratio(r Run, scenario string, own Figure, server string, asked, most float64) (text string, met bool) {
	other, ok := r.find(scenario, server)
	if !ok || other.CPU() == 0 {
		return "–", true
	}
	of := own.CPU() / other.CPU()
	text = "× " + number(of)
	if of < 1 {
		text = "1/" + number(1/of)
	}
	return text, asked == 0 || of <= most
}

// compare shows what an older state of the program took in the run before.
func (r Run) compare(b *strings.Builder, before Run) {
	fmt.Fprintf(b, "### Before and after\n\nThe older run is of %s, commit `%s`. Machines are shared: each time is also told in floors of its own run.\n\n", before.Date, before.Commit)
	b.WriteString("| scenario | before, ms | after, ms | before, floors | after, floors | statements | commits |\n|---|---|---|---|---|---|---|\n")
	for _, s := range r.scenarios() {
		a, okA := r.find(s, "idp")
		z, okZ := before.find(s, "idp")
		if !okA || !okZ {
			continue
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s → %s | %s → %s |\n", s, micro(z.CPU()), micro(a.CPU()), floors(before, z), floors(r, a),
			number(z.Statements), number(a.Statements), number(z.Commits), number(a.Commits))
	}
	b.WriteString("\n")
}

func floors(r Run, f Figure) string {
	floor, ok := r.find(f.Scenario, "floor")
	if !ok || floor.CPU() == 0 {
		return "–"
	}
	return number(f.CPU() / floor.CPU())
}

func (r Run) figures(b *strings.Builder) {
	b.WriteString("### Every figure\n\nTimes in milliseconds, memory of the program in MiB.\n\n" +
		"| scenario | server | CPU | of it the database | a second | p50 | p95 | p99 | errors | memory |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range r.scenarios() {
		for _, t := range titles {
			f, ok := r.find(s, t[0])
			if !ok {
				continue
			}
			fmt.Fprintf(b, "| %s | %s | %s | %s | %.0f | %s | %s | %s | %d of %d | %.0f |\n", s, t[1], micro(f.CPU()), micro(f.Database), f.Throughput,
				number(f.P50), number(f.P95), number(f.P99), f.Errors, f.Errors+f.Done, f.Memory)
		}
	}
	b.WriteString("\n")
}

func (r Run) counts(b *strings.Builder) {
	b.WriteString("### What one operation asks of PostgreSQL, and leaves there\n\n" +
		"Statements without BEGIN and COMMIT; commits that write; the workers' own are among them. Bytes with indexes, and with what vacuum will take back.\n\n" +
		"| scenario | server | statements | commits | log, bytes | rows left | bytes left |\n|---|---|---|---|---|---|---|\n")
	for _, s := range r.scenarios() {
		for _, t := range titles {
			if f, ok := r.find(s, t[0]); ok && (f.Statements > 0 || f.WAL > 0) {
				fmt.Fprintf(b, "| %s | %s | %s | %s | %.0f | %s | %s |\n", s, t[1], number(f.Statements), number(f.Commits), f.WAL, list(f.Rows, ""), list(f.Bytes, ""))
			}
		}
	}
	b.WriteString("\n")
}

func (r Run) crowd(b *strings.Builder) {
	if len(r.Crowd) == 0 {
		return
	}
	fmt.Fprintf(b, "### %d workers\n\nOnce, for its errors.\n\n| scenario | server | errors | p99, ms |\n|---|---|---|---|\n", r.Crowd[0].Workers)
	for _, c := range r.Crowd {
		fmt.Fprintf(b, "| %s | %s | %d of %d | %s |\n", c.Scenario, c.Server, c.Errors, c.Done+c.Errors, number(c.P99))
	}
	b.WriteString("\n")
}
