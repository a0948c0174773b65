package meter

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Postgres is a server for one measured program, durable as shipped: fsync and
// synchronous_commit are on. It listens on a socket in its own folder.
type Postgres struct {
	dir string
	cmd *exec.Cmd
	// conn asks for counts; its own statements are not among them.
	conn *pgx.Conn
}

// URL is the address of the server's one database.
func (p *Postgres) URL() string { return address(p.dir, "bench", "postgres") }

// Dir is the folder of the server's socket.
func (p *Postgres) Dir() string { return p.dir }

// PID is the server's first process, whose children do the work.
func (p *Postgres) PID() int { return p.cmd.Process.Pid }

func address(dir, database, user string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {dir}, "user": {user}, "sslmode": {"disable"}}.Encode()
}

// StartPostgres makes a cluster in a folder that is gone after Stop, and starts
// Debian's newest server on it, with settings ("name=value") beside the usual.
func StartPostgres(ctx context.Context, settings ...string) (_ *Postgres, err error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/tmp", "bench-pg-") // a socket's path must be short
	if err != nil {
		return nil, err
	}
	p := &Postgres{dir: dir}
	defer func() { //nolint:contextcheck // it ends whatever has happened to the context
		if err != nil {
			p.Stop()
		}
	}()
	if err = p.launch(ctx, bin, settings); err != nil {
		return nil, err
	}
	return p, p.prepare(ctx)
}

func (p *Postgres) launch(ctx context.Context, bin string, settings []string) error {
	account, err := serverAccount(p.dir)
	if err != nil {
		return err
	}
	data := filepath.Join(p.dir, "data")
	start := func(name string, args ...string) *exec.Cmd {
		c := exec.CommandContext(ctx, filepath.Join(bin, name), args...)
		c.Dir, c.SysProcAttr = p.dir, account
		c.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=" + p.dir}
		c.Cancel = func() error { return c.Process.Signal(syscall.SIGINT) } // fast shutdown
		c.WaitDelay = 20 * time.Second
		return c
	}
	initdb := start("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	args := []string{"-D", data, "-k", p.dir, "-h", ""}
	for _, s := range append([]string{"max_connections=200", "shared_buffers=256MB", "timezone=UTC",
		"shared_preload_libraries=pg_stat_statements", "pg_stat_statements.max=10000"}, settings...) {
		args = append(args, "-c", s)
	}
	p.cmd = start("postgres", args...)
	log, err := os.Create(filepath.Join(p.dir, "log"))
	if err != nil {
		return err
	}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	return errors.Join(p.cmd.Start(), log.Close())
}

// serverAccount is who runs the server: not root, which it refuses.
func serverAccount(dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, os.Chown(dir, uid, gid)
}

// prepare waits for the server and makes its database.
func (p *Postgres) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	first, err := p.await(ctx)
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(p.dir, "log"))
		return fmt.Errorf("start PostgreSQL: %w: %s", err, log)
	}
	for _, q := range []string{"CREATE DATABASE bench", "CREATE ROLE meter SUPERUSER LOGIN"} {
		if _, err = first.Exec(ctx, q); err != nil {
			break
		}
	}
	if err = errors.Join(err, first.Close(ctx)); err != nil {
		return err
	}
	if p.conn, err = pgx.Connect(ctx, address(p.dir, "bench", "meter")); err != nil {
		return err
	}
	_, err = p.conn.Exec(ctx, "CREATE EXTENSION pg_stat_statements")
	return err
}

func (p *Postgres) await(ctx context.Context) (*pgx.Conn, error) {
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for {
		c, err := pgx.Connect(ctx, address(p.dir, "postgres", "postgres"))
		if err == nil {
			return c, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-t.C:
		}
	}
}

// Stop ends the server and removes its folder.
func (p *Postgres) Stop() {
	if p.conn != nil {
		_ = p.conn.Close(context.Background())
	}
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(syscall.SIGINT)
		_ = p.cmd.Wait()
	}
	_ = os.RemoveAll(p.dir)
}

// binaries are Debian's, of the newest version there is.
func binaries() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	if len(found) == 0 {
		return "", errors.New("no PostgreSQL server here: apt-get install postgresql")
	}
	return filepath.Dir(found[0]), nil
}

// Version is the server's, as it names itself.
func Version(ctx context.Context) string {
	bin, err := binaries()
	if err != nil {
		return "?"
	}
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(out))
}
