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
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	p := program{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ()}
	code := p.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
