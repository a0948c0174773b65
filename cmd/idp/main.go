// Command idp is the identity provider: citizens sign in with codice fiscale
// and PIN, services delegate their sign-ins to it by OpenID Connect.
//
// This package is the program around the rooms below it: settings, wiring,
// the sub-commands, the demo, and the tests of the whole. Nothing imports it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"ente.example/idp/credentials"
)

// self starts what runs here once more, also when a newer program lies in its
// place. Linux has it; elsewhere hashes stay in the serving process.
const self = "/proc/self/exe"

func main() {
	if hashing() {
		if credentials.HashApart(os.Stdin, os.Stdout) != nil {
			os.Exit(exitRefused)
		}
		os.Exit(exitDone)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	p := program{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ(), self: self}
	code := p.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// hashing reports whether serve has started this process for its hashes alone.
func hashing() bool { return len(os.Args) == 2 && os.Args[1] == credentials.HashArgument }
