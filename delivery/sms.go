package delivery

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// token is the secret that is shared with the SMS gateway. It does not print.
type token struct{ value string }

func (token) String() string   { return "[token]" }
func (token) GoString() string { return "[token]" }

// minToken is what a shared secret has at least: it also signs reports.
const minToken = 16

func parseToken(s string) (token, error) {
	if len(s) < minToken || strings.ContainsAny(s, " \t\r\n") {
		return token{}, fmt.Errorf("IDP_SMS_TOKEN must have at least %d characters and no spaces", minToken)
	}
	return token{s}, nil
}

// NewSMSFromURL is the HTTP gateway of IDP_SMS_URL and IDP_SMS_TOKEN. Its
// address is https, or http on this machine.
func NewSMSFromURL(address, secret string, n Network) (Sender, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, errors.New("IDP_SMS_URL must be an https address, as in https://sms.example.org/messages")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, errors.New("IDP_SMS_URL must be https: http is for a gateway on this machine alone")
	case u.User != nil:
		return nil, errors.New("IDP_SMS_URL must not hold a password: IDP_SMS_TOKEN is sent")
	}
	t, err := parseToken(secret)
	if err != nil {
		return nil, err
	}
	return &smsGateway{url: u.String(), token: t, client: httpClient(n)}, nil
}

// httpClient follows no redirect: the token is for one address.
func httpClient(n Network) *http.Client {
	return &http.Client{
		Timeout:       n.timeout(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: n.timeout()}).DialContext,
			TLSClientConfig:     &tls.Config{RootCAs: n.Roots, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: claims,
			IdleConnTimeout:     n.timeout(),
		},
	}
}

type smsGateway struct {
	url    string
	token  token
	client *http.Client
}

// Send gives the gateway one text. The id stays the same at every retry, so
// that a gateway can leave out what it has sent.
func (g *smsGateway) Send(ctx context.Context, l Letter) error {
	body, err := json.Marshal(struct {
		ID   string `json:"id"`
		To   string `json:"to"`
		Text string `json:"text"`
	}{l.ID, l.To.Reveal(), strings.TrimRight(l.Body.Reveal(), "\r\n")})
	if err != nil {
		return errors.New("send SMS: a text cannot be encoded") // err could quote it
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("send SMS: the request cannot be made")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Authorization", "Bearer "+g.token.value)
	answer, err := g.client.Do(r)
	if err != nil {
		var where *url.Error
		if errors.As(err, &where) {
			err = where.Err // without the address, which may hold an account
		}
		return fmt.Errorf("send SMS: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10) // so that the connection can be used again
	return smsAnswer(answer.StatusCode)
}

// smsAnswer sorts what the gateway says. A 4xx is about the message, except
// where it is about us (token, address of the gateway) or about the moment:
// those pass, and throw away nobody's PIN.
func smsAnswer(status int) error {
	told := fmt.Errorf("send SMS: the gateway answered %d", status)
	switch {
	case status >= 200 && status < 300:
		return nil
	case status < 400 || status >= 500:
		return told
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusProxyAuthRequired,
		http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return told
	}
	return fmt.Errorf("%w: %w", told, ErrRejected)
}
