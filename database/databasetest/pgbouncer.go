package databasetest

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Pooled puts PgBouncer in transaction mode before a PostgreSQL database: each
// transaction may get another of its few connections. What it returns is the
// address that docs/scaling.md tells operators to use.
func Pooled(t testing.TB, direct string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/pgbouncer") // not in everybody's $PATH
	}
	if err != nil && os.Getenv("IDP_TEST_REQUIRE") != "1" {
		t.Skip("no PgBouncer here (apt-get install pgbouncer)")
	}
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "idp-bouncer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	name := strings.TrimPrefix(u.Path, "/")
	bounce(t, program, dir, fmt.Sprintf(`[databases]
%s = host=%s dbname=%s user=postgres
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = %s
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
`, name, u.Query().Get("host"), name, dir))
	q := u.Query()
	q.Set("host", dir)
	q.Set("port", "6432")
	q.Set("default_query_exec_mode", "cache_describe")
	u.RawQuery = q.Encode()
	if err := answers(u.String()); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		t.Fatalf("PgBouncer did not start: %v: %s", err, log)
	}
	return u.String()
}

// bounce runs PgBouncer until the test ends.
func bounce(t testing.TB, program, dir, settings string) {
	t.Helper()
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, file) // not of the test's context, which ends before what is stopped last
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() == 0 { // it refuses to run as root
		if err := as(c, dir); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout, c.Stderr = log, log
	if err := errors.Join(c.Start(), log.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Process.Kill(), c.Wait() })
}
