package meter

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Explaining are the settings with which a server can explain what it does,
// once it is asked to. Until then they cost nothing.
func Explaining() []string {
	return []string{
		"shared_preload_libraries=pg_stat_statements,auto_explain", "log_line_prefix=%u ",
		"auto_explain.log_analyze=on", "auto_explain.log_buffers=on", "auto_explain.log_timing=off", "auto_explain.log_format=json",
	}
}

// Execution is one statement as it was carried out.
type Execution struct {
	Text string `json:"Query Text"`
	Plan Node   `json:"Plan"`
}

// Node is one of a plan's.
type Node struct {
	Type      string  `json:"Node Type"`
	Operation string  `json:"Operation"` // of ModifyTable
	Table     string  `json:"Relation Name"`
	Index     string  `json:"Index Name"`
	Loops     float64 `json:"Actual Loops"`
	Hit       int     `json:"Shared Hit Blocks"`  // with those of the nodes below
	Read      int     `json:"Shared Read Blocks"` // likewise
	Plans     []Node  `json:"Plans"`
}

// Pages are what an execution has touched, in memory or on the disk.
func (e Execution) Pages() int { return e.Plan.Hit + e.Plan.Read }

// Walk visits a plan's nodes from above.
func (n Node) Walk(visit func(Node)) {
	visit(n)
	for _, p := range n.Plans {
		p.Walk(visit)
	}
}

// Explained are the executions of the program's statements while do is done.
// The server must have been started with Explaining.
func (p *Postgres) Explained(ctx context.Context, do func()) ([]Execution, error) {
	if err := p.explain(ctx, "0"); err != nil {
		return nil, err
	}
	log := filepath.Join(p.dir, "log")
	before, err := os.Stat(log)
	if err != nil {
		return nil, err
	}
	do()
	if err := p.explain(ctx, "-1"); err != nil {
		return nil, err
	}
	f, err := os.Open(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(before.Size(), 0); err != nil {
		return nil, err
	}
	return executions(bufio.NewScanner(f))
}

// explain sets the least duration of what is explained, in every connection.
func (p *Postgres) explain(ctx context.Context, least string) error {
	for _, q := range []string{"ALTER SYSTEM SET auto_explain.log_min_duration = " + least, "SELECT pg_reload_conf()"} {
		if _, err := p.conn.Exec(ctx, q); err != nil {
			return fmt.Errorf("explain: %w", err)
		}
	}
	for now := ""; strings.TrimSuffix(now, "ms") != least; {
		if err := p.conn.QueryRow(ctx, "SHOW auto_explain.log_min_duration").Scan(&now); err != nil {
			return fmt.Errorf("explain: %w", err)
		}
		select { // the others are told at the same time
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// executions reads a server's log: each begins with a line of the program's
// role, and goes on in lines that begin with a tab.
func executions(log *bufio.Scanner) (list []Execution, err error) {
	log.Buffer(nil, 16<<20)
	var plan strings.Builder
	inside := false
	end := func() error {
		if !inside {
			return nil
		}
		inside = false
		var e Execution
		if err := json.Unmarshal([]byte(plan.String()), &e); err != nil {
			return fmt.Errorf("read a plan: %w", err)
		}
		list = append(list, e)
		return nil
	}
	for log.Scan() {
		line := log.Text()
		if rest, more := strings.CutPrefix(line, "\t"); more {
			plan.WriteString(rest + "\n")
			continue
		}
		if err := end(); err != nil {
			return nil, err
		}
		inside = strings.HasPrefix(line, "postgres LOG:  duration: ") && strings.HasSuffix(line, "plan:")
		plan.Reset()
	}
	if err := end(); err != nil {
		return nil, err
	}
	return list, log.Err()
}
