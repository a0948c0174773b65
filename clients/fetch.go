package clients

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"ente.example/idp/database"
)

const (
	maxFetched   = 64 << 10 // bytes
	fetchTimeout = 5 * time.Second
)

// FetchPolicy says where this server may go for what clients point to (jwks_uri,
// sector_identifier_uri). By default every public address, over https.
type FetchPolicy struct {
	Allow []netip.Prefix // internal networks that may be reached too
	// Loopback lets this machine be reached, without TLS too: for an issuer that
	// is itself on a loopback host.
	Loopback bool
	RootCAs  *x509.CertPool // nil: the system's
}

// fetcher reads small JSON documents from addresses that others chose. It
// looks at the address that is dialled, after DNS, so that a name cannot lead
// inside; follows no redirect; and takes no proxy from the environment.
type fetcher struct {
	allow    []netip.Prefix
	loopback bool
	guard    *ssrf.Guardian
	http     *http.Client
}

// fetched is a document and how long its server says it is good for.
type fetched struct {
	body   []byte
	maxAge time.Duration // 0: not said
}

func newFetcher(p FetchPolicy) *fetcher {
	f := &fetcher{allow: p.Allow, loopback: p.Loopback, guard: ssrf.New(ssrf.WithAnyPort())}
	dialer := &net.Dialer{Timeout: fetchTimeout, Control: f.control}
	f.http = &http.Client{
		Timeout: fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		Transport: &http.Transport{
			Proxy:                  nil,
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: p.RootCAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    fetchTimeout,
			ResponseHeaderTimeout:  fetchTimeout,
			MaxResponseHeaderBytes: 16 << 10,
			DisableCompression:     true, // nothing that grows when unpacked
			DisableKeepAlives:      true, // fetches are rare: hold nothing open
			ForceAttemptHTTP2:      true,
		},
	}
	return f
}

// control sees every address before it is connected to.
func (f *fetcher) control(network, address string, c syscall.RawConn) error {
	if a, err := netip.ParseAddrPort(address); err == nil {
		ip := a.Addr().Unmap()
		if f.loopback && ip.IsLoopback() {
			return nil
		}
		if slices.ContainsFunc(f.allow, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			return nil
		}
	}
	return f.guard.Safe(network, address, c)
}

// get reads one JSON document. What it answers may say which internal
// addresses exist, so errors of it are for the log, not for the client.
func (f *fetcher) get(ctx context.Context, uri string) (fetched, error) {
	return f.read(ctx, uri, "application/jwk-set+json", "application/json")
}

// read reads a small document of one of these media types.
func (f *fetcher) read(ctx context.Context, uri string, kinds ...string) (fetched, error) {
	if database.Inside(ctx) {
		return fetched{}, errors.New("fetch from the network with a transaction open")
	}
	if err := checkRemote(uri, f.loopback); err != nil {
		return fetched{}, fmt.Errorf("fetch: address %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return fetched{}, fmt.Errorf("fetch: %w", err)
	}
	req.Header.Set("Accept", strings.Join(kinds, ", "))
	resp, err := f.http.Do(req)
	if err != nil {
		return fetched{}, fmt.Errorf("fetch: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := answered(resp, kinds); err != nil {
		return fetched{}, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxFetched+1))
	switch {
	case err != nil:
		return fetched{}, fmt.Errorf("fetch: %w", err)
	case len(body) > maxFetched:
		return fetched{}, fmt.Errorf("fetch: answer is larger than %d bytes", maxFetched)
	}
	return fetched{body: body, maxAge: maxAge(resp.Header)}, nil
}

func answered(resp *http.Response, kinds []string) error {
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch: answered with status %d", resp.StatusCode)
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(kinds, kind) {
		return fmt.Errorf("fetch: answer is not declared as %s", kinds[len(kinds)-1])
	}
	return nil
}

// maxAge reads Cache-Control. Absent, broken or no-store is 0, which the
// cache's floor turns into its least.
func maxAge(h http.Header) time.Duration {
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if strings.EqualFold(name, "max-age") {
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err == nil {
				return time.Duration(seconds) * time.Second
			}
		}
	}
	return 0
}
