package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Exit codes, for scripts.
const (
	exitDone    = 0
	exitRefused = 1 // refused or failed: one line on standard error says why
	exitUsage   = 2 // unknown command, flag or argument
)

// program is one run of idp. Tests make their own, with other ends.
type program struct {
	in      io.Reader
	out     io.Writer
	err     io.Writer
	environ []string
	// self starts this program once more, for its hashes; none where it is "".
	self string
}

// commands is the command line. Every command takes the settings, so that
// what works on a server works in a shell beside it.
type commands struct {
	Settings settings `embed:""`
	JSON     bool     `help:"Print one JSON document and nothing else." name:"json"`

	Serve       serveCommand       `cmd:"" help:"Run the provider."`
	Demo        demoCommand        `cmd:"" help:"Everything on one machine, nothing to configure."`
	Migrate     migrateCommands    `cmd:"" help:"Bring the database to this program's schema."`
	Secrets     secretsCommands    `cmd:"" help:"Make the key files that serve needs."`
	Policy      policyCommands     `cmd:"" help:"Show every parameter in force."`
	Clients     clientsCommands    `cmd:"" help:"Register and change relying services."`
	Citizens    citizensCommands   `cmd:"" help:"Import people and look one up."`
	Pins        pinsCommands       `cmd:"" help:"Issue, suspend and revoke PINs."`
	Callbacks   callbacksCommands  `cmd:"" help:"The contact centre's queue of calls."`
	Letters     lettersCommands    `cmd:"" help:"What the print service reports."`
	Keys        keysCommands       `cmd:"" help:"The tokens' signing keys."`
	Audit       auditCommands      `cmd:"" help:"Verify and export the security events."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask a running provider whether it is ready."`
	Version     versionCommand     `cmd:"" help:"What this program is."`
}

// invocation is what a command's Run gets: one parsed run of the program.
type invocation struct {
	program
	ctx      context.Context
	settings settings
	json     bool
}

// finding is an answer that is itself bad news: printed, and exit 1.
type finding struct{ line string }

func (f finding) Error() string { return f.line }

// usageError is a fault of the command line found after parsing.
type usageError struct{ line string }

func (u usageError) Error() string { return u.line }

// parsed ends kong's own exits (--help) without ending the process.
type parsed struct{ code int }

// run is the program: parse, settle, do, and one line about what went wrong.
func (p program) run(ctx context.Context, args []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			end, ok := r.(parsed)
			if !ok {
				panic(r)
			}
			code = end.code
		}
	}()
	var c commands
	k, err := p.parse(&c, args)
	if err == nil {
		err = k.Run(&invocation{program: p, ctx: ctx, settings: c.Settings, json: c.JSON})
	}
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		return p.fail(exitUsage, err)
	default:
		return p.fail(exitRefused, err)
	}
}

// parse reads the command line and the other sources of settings.
func (p program) parse(c *commands, args []string) (*kong.Context, error) {
	sources, err := newSources(p.environ, args)
	if err != nil {
		return nil, err
	}
	parser, err := kong.New(c, kong.Name("idp"), kong.Description("OpenID Connect identity provider for codice fiscale and PIN."),
		kong.Writers(p.out, p.err), kong.Exit(func(code int) { panic(parsed{code}) }),
		kong.Resolvers(sources), kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))
	if err != nil {
		return nil, err
	}
	k, err := parser.Parse(args)
	if err != nil {
		return nil, usageError{err.Error()}
	}
	return k, nil
}

// fail prints exactly one line, whatever the error's text is made of.
func (p program) fail(code int, err error) int {
	_, _ = fmt.Fprintln(p.err, "idp:", strings.Join(strings.Fields(err.Error()), " "))
	return code
}

// print answers a command: v as JSON where it was asked for, else the lines.
func (i *invocation) print(v any, lines ...string) error {
	if !i.json {
		_, err := fmt.Fprintln(i.out, strings.Join(lines, "\n"))
		return err
	}
	e := json.NewEncoder(i.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
