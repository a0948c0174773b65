// Command testrun runs go test with one throw-away PostgreSQL for the test
// binaries of all packages, prints what failed and each package's closing
// line, and fails on a skipped test as on a failed one:
//
//	go run ./database/databasetest/testrun ./...
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"ente.example/idp/database/databasetest"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	// an interrupt reaches go test too, which ends; then so do we
	signal.Ignore(syscall.SIGINT)
	dir, err := databasetest.StartPostgres()
	if err != nil {
		fmt.Fprintln(os.Stderr, "start PostgreSQL for tests:", err)
		return 1
	}
	c := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	c.Env = append(os.Environ(), "IDP_TEST_POSTGRES="+dir, "IDP_TEST_REQUIRE=1")
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	tally := follow(out, os.Stdout)
	return verdict(tally, c.Wait())
}

// event is a line of go test -json (cmd/test2json).
type event struct {
	Action, Package, Test, Output string
}

type tally struct {
	passed, failed int
	skipped        []string
}

// follow prints as it reads: closing lines at once, a test's own words only
// when it has failed.
func follow(in io.Reader, out io.Writer) tally {
	var t tally
	words := map[string][]string{}
	for lines := bufio.NewReader(in); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return t
		}
		var e event
		if json.Unmarshal(line, &e) != nil {
			_, _ = out.Write(line)
			continue
		}
		key := e.Package + " " + e.Test
		switch {
		case e.Action == "output" && e.Test == "", e.Action == "build-output":
			_, _ = io.WriteString(out, e.Output)
		case e.Action == "output":
			words[key] = append(words[key], e.Output)
		case e.Test == "":
		case e.Action == "fail":
			t.failed++
			for _, w := range words[key] {
				_, _ = io.WriteString(out, w)
			}
			delete(words, key)
		case e.Action == "skip":
			t.skipped = append(t.skipped, key)
			delete(words, key)
		case e.Action == "pass":
			t.passed++
			delete(words, key)
		}
	}
}

func verdict(t tally, err error) int {
	for _, name := range t.skipped {
		fmt.Println("SKIPPED, which counts as failed:", name)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, len(t.skipped))
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	case len(t.skipped) > 0 || t.passed == 0:
		return 1
	}
	return 0
}
