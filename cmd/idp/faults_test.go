package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ente.example/idp/database/databasetest"
)

// asProgram makes the test binary be idp: nodes that are killed must be
// processes, and so nothing has to be built.
const asProgram = "TEST_BINARY_IS_IDP"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" || hashing() {
		main()
	}
	os.Exit(m.Run())
}

// process is an idp serve of its own.
type process struct {
	cmd     *exec.Cmd
	address string
	log     *logBuffer
	ended   chan error
}

func (s *terminal) process(args ...string) *process {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	p := &process{cmd: exec.Command(self, append([]string{"serve"}, args...)...), address: freePort(s.t), log: &logBuffer{}, ended: make(chan error, 1)}
	p.cmd.Env = append(s.with("IDP_LISTEN", p.address, "IDP_ADMIN_LISTEN", freePort(s.t)).variables(), asProgram+"=1", "PATH="+os.Getenv("PATH"))
	p.cmd.Stderr, p.cmd.Dir = p.log, s.dir
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	s.t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	eventually(s.t, 30*time.Second, "the process serves", func() bool { return strings.Contains(p.log.String(), `"msg":"serving"`) })
	return p
}

// twoProcesses are two nodes on one PostgreSQL, with n people and a service.
func twoProcesses(t *testing.T, n int) (s *terminal, a, b *process, p *party, pins map[string]string) {
	t.Helper()
	s = newTerminal(t, databasetest.Postgres(t)).with("IDP_ELIGIBILITY", "open", "IDP_ISSUER", "http://localhost:8080")
	a, b = s.process(), s.process()
	p = s.party("http://localhost:8080", newTurns(a.address, b.address))
	return s, a, b, p, s.activePINs(n)
}

// One code, 200 redemptions at once at two processes: one wins, all others are
// told invalid_grant, and since somebody else had the code too, what the winner
// got is dead (RFC 6749 §4.1.2).
func TestOneCodeManyRedemptions(t *testing.T) {
	t.Parallel()
	_, _, _, p, pins := twoProcesses(t, 1)
	for cf, pin := range pins {
		at, err := p.signIn(p.browser(), cf, pin)
		if err != nil {
			t.Fatal(err)
		}
		const n = 200
		won, errs := make([]tokens, n), make([]error, n)
		databasetest.Barrier(n, func(i int) { won[i], errs[i] = p.redeem(at) })
		winners, winner := 0, tokens{}
		for i := range n {
			switch {
			case errs[i] == nil:
				winners, winner = winners+1, won[i]
			case !refused(errs[i], "invalid_grant"):
				t.Errorf("a loser was told: %v", errs[i])
			}
		}
		if winners != 1 {
			t.Fatalf("%d of %d redemptions won, want 1", winners, n)
		}
		for name, token := range map[string]string{"access": winner.Access, "refresh": winner.Refresh} {
			eventually(t, 5*time.Second, "the winner's "+name+" token is dead", func() bool {
				live, err := p.active(token)
				return err == nil && !live
			})
		}
		if _, err := p.refresh(winner.Refresh); !refused(err, "invalid_grant") {
			t.Errorf("the winner's refresh token: %v", err)
		}
	}
}

// ledger counts what happened to codes and flows.
type ledger struct {
	mu       sync.Mutex
	redeemed map[string]int // code → how often it was answered with tokens
	done     atomic.Int64
	retries  atomic.Int64
}

func (l *ledger) count(code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.redeemed[code]++
}

// A node dies in the middle of 50 sign-ins: every one ends with tokens that
// are good, whoever got no answer may try again, and nothing was done twice.
func TestKilledNode(t *testing.T) {
	t.Parallel()
	const n = 50
	s, a, b, p, pins := twoProcesses(t, n)
	l := &ledger{redeemed: map[string]int{}}
	var people []string
	for cf := range pins {
		people = append(people, cf)
	}
	got, errs := make([]tokens, n), make([]error, n)
	killed := sync.OnceFunc(func() { _ = a.cmd.Process.Kill() })
	databasetest.Barrier(n, func(i int) {
		got[i], errs[i] = p.untilSignedIn(l, people[i], pins[people[i]])
		if l.done.Add(1) == n/5 {
			killed()
		}
	})
	for i := range n {
		if errs[i] != nil {
			t.Errorf("sign-in %d: %v", i, errs[i])
			continue
		}
		if live, err := p.active(got[i].Access); !live || err != nil {
			t.Errorf("sign-in %d: its access token is active: %v, %v", i, live, err)
		}
		if again, err := p.refresh(got[i].Refresh); err != nil || again.Access == "" {
			t.Errorf("sign-in %d: its refresh token: %v", i, err)
		}
	}
	for _, times := range l.redeemed {
		if times != 1 {
			t.Errorf("a code was redeemed %d times", times)
		}
	}
	if err := <-a.ended; !diedOf(err, syscall.SIGKILL) {
		t.Errorf("the killed node ended with %v: %s", err, a.log)
	}
	t.Logf("%d steps were tried again", l.retries.Load())
	s.checkAfterwards(b)
}

// untilSignedIn signs in as people do: what gets no answer, or is told to come
// again, is tried again.
func (p *party) untilSignedIn(l *ledger, cf, pin string) (tokens, error) {
	c := p.browser()
	for end := time.Now().Add(30 * time.Second); ; l.retries.Add(1) {
		if time.Now().After(end) {
			return tokens{}, errors.New("not signed in within 30 s")
		}
		at, err := p.signIn(c, cf, pin)
		if err != nil {
			if retryable(err) {
				continue
			}
			return tokens{}, fmt.Errorf("sign in: %w", err)
		}
		got, err := p.redeem(at)
		unsure := retryable(err) // the code may have been taken, and its tokens lost
		for ; retryable(err) && time.Now().Before(end); l.retries.Add(1) {
			got, err = p.redeem(at)
		}
		if unsure && refused(err, "invalid_grant") {
			continue
		}
		if err != nil {
			return tokens{}, fmt.Errorf("redeem: %w", err)
		}
		l.count(at.code)
		return got, nil
	}
}

func diedOf(err error, signal syscall.Signal) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == signal
}

// checkAfterwards ends the node that is left and looks at what stands in the
// database: every grant's code was exchanged once, and the audit is whole.
func (s *terminal) checkAfterwards(left *process) {
	s.t.Helper()
	eventually(s.t, 10*time.Second, "the node that is left chains", func() bool { return s.doc("audit", "verify")["unchained"] == 0.0 })
	if err := left.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if err := <-left.ended; err != nil {
		s.t.Errorf("SIGTERM: the node ended with %v: %s", err, left.log)
	}
	if doc := s.doc("audit", "verify"); doc["ok"] != true || doc["unchained"] != 0.0 || doc["checkpoints"].(float64) < 1 {
		s.t.Errorf("audit verify = %v", doc)
	}
	exchanged := map[any]int{}
	for _, e := range s.events("grant.code-exchanged") {
		exchanged[e["details"].(map[string]any)["grant"]]++
	}
	for grant, times := range exchanged {
		if times != 1 {
			s.t.Errorf("the code of grant %v was exchanged %d times", grant, times)
		}
	}
	if len(exchanged) < 50 {
		s.t.Errorf("%d exchanges are recorded, want at least 50", len(exchanged))
	}
	if log := left.log.String(); strings.Contains(log, `"level":"ERROR"`) {
		s.t.Errorf("the node that is left logged errors: %s", log)
	}
}
