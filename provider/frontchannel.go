package provider

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"ente.example/idp/clients"
)

// FrontChannel are the addresses that tell services in this browser that a
// session is over (OpenID Connect Front-Channel Logout 1.0 §2). They are to be
// asked for before the session ends.
func (p *Provider) FrontChannel(ctx context.Context, session string) ([]string, error) {
	list, err := p.logouts.of(ctx, session)
	if err != nil {
		return nil, err
	}
	var frames []string
	for _, row := range list {
		client, err := p.clients.Get(ctx, row.ClientID)
		switch {
		case errors.Is(err, clients.ErrUnknown), errors.Is(err, clients.ErrDisabled), err == nil && client.FrontchannelLogoutURI == "":
			continue
		case err != nil:
			return nil, err
		}
		frames = append(frames, p.frame(client.FrontchannelLogoutURI, session))
	}
	return frames, nil
}

// frame names session and issuer, whether or not the service insists on it.
func (p *Provider) frame(uri, session string) string {
	separator := "?"
	if strings.Contains(uri, "?") {
		separator = "&"
	}
	return uri + separator + url.Values{"iss": {p.issuer}, "sid": {session}}.Encode()
}
