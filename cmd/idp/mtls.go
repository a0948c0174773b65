package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"ente.example/idp/provider"
)

// headerRFC9440 is the one way in which a proxy may hand over certificates.
const headerRFC9440 = "rfc9440"

// checkCertificates refuses settings about clients' certificates that would
// leave them unheard, or heard from anybody.
func (s settings) checkCertificates() error {
	header := s.ClientCertHeader == headerRFC9440
	switch u, err := url.Parse(s.MTLSURL); {
	case s.MTLSURL != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil):
		return fmt.Errorf("mtls-url %q must be https and host alone, without a path or a slash at the end", s.MTLSURL)
	case s.MTLSURL != "" && s.MTLSURL == s.Issuer:
		return errors.New("mtls-url must differ from the issuer: browsers would be asked for a certificate")
	case s.MTLSListen != "" && (s.TLSCertFile == "" || s.MTLSURL == ""):
		return errors.New("mtls-listen needs a certificate and its own address: set tls-cert-file, tls-key-file and mtls-url")
	case s.MTLSURL != "" && s.MTLSListen == "" && !header:
		return errors.New("mtls-url needs somebody who asks for certificates: set mtls-listen, or client-cert-header behind a proxy")
	case header && strings.Trim(s.TrustedProxies, ", ") == "":
		return errors.New("client-cert-header is for a proxy: say in trusted-proxies which one may hand over certificates")
	case s.ClientCAFile != "" && s.MTLSListen == "" && !header:
		return errors.New("client-ca-file needs somebody who asks for certificates: set mtls-listen, or client-cert-header behind a proxy")
	}
	return nil
}

// mutualTLS is where certificates of services come from, and who vouches for them.
func (s settings) mutualTLS() (m provider.MutualTLS, err error) {
	m.URL = s.MTLSURL
	if s.ClientCertHeader == headerRFC9440 {
		if m.Proxies, err = s.proxies(); err != nil {
			return m, err
		}
	}
	if s.ClientCAFile == "" {
		return m, nil
	}
	pem, err := os.ReadFile(s.ClientCAFile)
	if err != nil {
		return m, fmt.Errorf("client-ca-file: %w", err)
	}
	m.CA = x509.NewCertPool()
	if !m.CA.AppendCertsFromPEM(pem) {
		return m, fmt.Errorf("client-ca-file: no certificate in %s", s.ClientCAFile)
	}
	return m, nil
}

// listenForCertificates opens the listener that asks services for their
// certificates; nil if there is none. Whose they are is looked at with the
// request: a connection without one gets an answer, not a broken handshake.
func (v *services) listenForCertificates(ctx context.Context) (net.Listener, error) {
	if v.settings.MTLSListen == "" {
		return nil, nil //nolint:nilnil // no listener is an answer
	}
	l, err := v.listenAt(ctx, v.settings.MTLSListen, tls.RequestClientCert)
	if err != nil {
		return nil, fmt.Errorf("listen for certificates: %w", err)
	}
	v.logger.InfoContext(ctx, "asking services for certificates", "listen", l.Addr().String(), "address", v.settings.MTLSURL)
	return l, nil
}
