package databasetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers "pgx" for the maintenance connection
)

// errNoPostgres says what is missing.
var errNoPostgres = errors.New("no PostgreSQL server here (apt-get install postgresql)")

// Postgres returns the URL of a fresh, migrated PostgreSQL database.
func Postgres(t testing.TB) string {
	t.Helper()
	name, err := clone()
	if errors.Is(err, errNoPostgres) && os.Getenv("IDP_TEST_REQUIRE") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = maintain("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)") })
	return serverURL(name)
}

var sequence atomic.Int64

// clone copies the migrated template, which takes some tens of milliseconds.
func clone() (string, error) {
	template, err := postgresTemplate()
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("t%d_%d", os.Getpid(), sequence.Add(1))
	return name, maintain("CREATE DATABASE " + name + " TEMPLATE " + template + " STRATEGY=FILE_COPY")
}

var postgresTemplate = sync.OnceValues(func() (string, error) {
	if _, err := server(); err != nil {
		return "", err
	}
	name := fmt.Sprintf("template_%d", os.Getpid())
	if err := maintain("CREATE DATABASE " + name); err != nil {
		return "", err
	}
	return name, migrate(serverURL(name))
})

// server is the folder of a running server's socket. IDP_TEST_POSTGRES names
// one that runs already, so that a test run of many packages shares it, or
// says "none" for a quick run on SQLite alone.
var server = sync.OnceValues(func() (string, error) {
	switch dir := os.Getenv("IDP_TEST_POSTGRES"); dir {
	case "":
		return StartPostgres()
	case "none":
		return "", errNoPostgres
	default:
		return dir, nil
	}
})

func serverURL(name string) string {
	dir, _ := server()
	return "postgres:///" + name + "?" + url.Values{"host": {dir}, "user": {"postgres"}, "sslmode": {"disable"}}.Encode()
}

var maintenance = sync.OnceValues(func() (*sql.DB, error) {
	db, err := sql.Open("pgx", serverURL("postgres"))
	if err == nil {
		db.SetMaxOpenConns(1) // copying a template admits one at a time anyway
	}
	return db, err
})

func maintain(statement string) error {
	db, err := maintenance()
	if err != nil {
		return err
	}
	_, err = db.Exec(statement)
	return err
}

// StartPostgres starts a throw-away server on a Unix socket and returns the
// socket's folder. It ends, and its folder goes, when this process does: its
// shell waits for the end of a pipe that only this process holds open.
func StartPostgres() (string, error) {
	bin, err := binaries()
	if err != nil {
		return "", err
	}
	// not under $TMPDIR: socket paths are limited to 107 bytes, and as root
	// the server runs as another user
	dir, err := os.MkdirTemp("/tmp", "idp-pg-")
	if err != nil {
		return "", err
	}
	if err := launch(bin, dir); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, await(dir)
}

const script = `bin=$1; dir=$2
"$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --no-sync --locale=C.UTF-8 >"$dir/log" 2>&1 || exit 1
"$bin/postgres" -D "$dir/data" -k "$dir" -h "" -F -c full_page_writes=off -c wal_level=minimal -c max_wal_senders=0 \
  -c max_connections=400 -c shared_buffers=64MB -c timezone=UTC -c autovacuum=off >>"$dir/log" 2>&1 </dev/null &
pid=$!
read _
kill -INT $pid; wait $pid; rm -rf "$dir"/*`

func launch(bin, dir string) error {
	c := exec.Command("sh", "-c", script, "postgres-for-tests", bin, dir)
	c.Dir = dir
	c.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=" + dir}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() == 0 { // the server refuses to run as root
		if err := as(c, dir); err != nil {
			return err
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	c.Stdin = r
	if err := c.Start(); err != nil {
		return err
	}
	keep = append(keep, w)
	return r.Close()
}

// keep holds the pipes' writing ends; the kernel closes them when we end.
var keep []io.Closer

func as(c *exec.Cmd, dir string) error {
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return err
		}
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	c.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(dir, uid, gid)
}

func await(dir string) error {
	err := answers("postgres:///postgres?" + url.Values{"host": {dir}, "user": {"postgres"}}.Encode())
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		return fmt.Errorf("PostgreSQL did not start: %w: %s", err, log)
	}
	return nil
}

// answers waits until a server answers there, a minute at most.
func answers(url string) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if err = db.PingContext(ctx); err == nil {
			tick.Stop()
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// binaries finds the newest of Debian's versioned folders, else $PATH's.
func binaries() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	version := func(p string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(p))))
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	if len(found) > 0 {
		return filepath.Dir(found[0]), nil
	}
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			return filepath.Dir(p), nil
		}
	}
	return "", errNoPostgres
}

// Empty returns the URL of a PostgreSQL database without a schema.
func Empty(t testing.TB) string {
	t.Helper()
	_, err := server()
	if errors.Is(err, errNoPostgres) && os.Getenv("IDP_TEST_REQUIRE") != "1" {
		t.Skip(err)
	}
	name := fmt.Sprintf("e%d_%d", os.Getpid(), sequence.Add(1))
	if err == nil {
		err = maintain("CREATE DATABASE " + name)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = maintain("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)") })
	return serverURL(name)
}
