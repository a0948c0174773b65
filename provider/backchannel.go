package provider

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"ente.example/idp/audit"
	"ente.example/idp/clients"
	"ente.example/idp/login"
)

// Back-channel logout (OpenID Connect Back-Channel Logout 1.0): services that
// want to are told of a session's end from server to server. What is to be told
// is written with the end itself, and sent by a worker, so that a service that
// is slow or away holds up nobody's sign-out.

const (
	typLogoutToken = "logout+jwt" //nolint:gosec // the name of a kind of token
	logoutEvent    = "http://schemas.openid.net/event/backchannel-logout"
	// logoutTokenLife is short, as §2.4 recommends: each try gets a new token.
	logoutTokenLife = 2 * time.Minute
	logoutPoll      = 2 * time.Second
	logoutPauseMax  = 10 * time.Minute
	// logoutPlaces is how many services one node tells at a time.
	logoutPlaces = 100
	// longestSession is more than any policy lets a session last.
	longestSession = 25 * time.Hour
)

// rememberService notes where a session has been used, if that service wants to
// hear of its end.
func (p *Provider) rememberService(ctx context.Context, c clients.Client, g *grantRow) error {
	if c.BackchannelLogoutURI == "" && c.FrontchannelLogoutURI == "" {
		return nil
	}
	return p.logouts.remember(ctx, g, p.sessions.Idle(), longestSession)
}

// queueLogouts writes down who is to be told that a session is over, in the
// transaction that ends it.
func (p *Provider) queueLogouts(ctx context.Context, session string) error {
	list, err := p.logouts.forget(ctx, session)
	if err != nil {
		return err
	}
	for _, row := range list {
		client, err := p.clients.Get(ctx, row.ClientID)
		if errors.Is(err, clients.ErrUnknown) || errors.Is(err, clients.ErrDisabled) || err == nil && client.BackchannelLogoutURI == "" {
			continue
		}
		if err != nil {
			return err
		}
		if err := p.logouts.add(ctx, row); err != nil {
			return err
		}
	}
	if len(list) > 0 {
		p.db.AfterCommit(ctx, p.nudgeLogouts)
	}
	return nil
}

func (p *Provider) nudgeLogouts() {
	select {
	case p.wake <- struct{}{}:
	default: // one is waiting already
	}
}

// RunLogouts tells services until ctx ends. Any number of nodes may run it.
func (p *Provider) RunLogouts(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	tick := time.NewTicker(logoutPoll)
	defer tick.Stop()
	for {
		err := p.EndIdle(ctx)
		if err == nil {
			err = p.startLogouts(ctx, &all)
		}
		if err != nil && ctx.Err() == nil {
			p.logger.ErrorContext(ctx, "tell services of a sign-out", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
		case <-tick.C:
		}
	}
}

// EndIdle ends the sessions that have gone idle (R55), as far as a service wants
// to hear of it: nobody else would notice before the browser comes back.
func (p *Provider) EndIdle(ctx context.Context) error {
	for {
		list, err := p.logouts.toLook(ctx)
		if err != nil {
			return err
		}
		for _, session := range list {
			again, ended, err := p.sessions.EndIfOver(ctx, login.SessionID(session))
			if err == nil && !ended {
				err = p.logouts.lookAgain(ctx, session, again)
			}
			if err != nil {
				return err
			}
		}
		if len(list) == 0 {
			return nil
		}
	}
}

// SendLogouts tries whoever is due, once, and waits for all of them.
func (p *Provider) SendLogouts(ctx context.Context) error {
	var all sync.WaitGroup
	err := p.startLogouts(ctx, &all)
	all.Wait()
	return err
}

// startLogouts tries whoever is due, as far as there are places. It waits for a
// place and for nobody's answer: a service that is slow keeps the place that it
// has, and no other service from being told.
func (p *Provider) startLogouts(ctx context.Context, all *sync.WaitGroup) error {
	for {
		places := p.places(ctx)
		if places == 0 {
			return ctx.Err()
		}
		list, err := p.logouts.claim(ctx, places)
		for range places - len(list) {
			<-p.sending
		}
		for _, row := range list {
			all.Go(func() {
				defer func() { <-p.sending }()
				if err := p.sendLogout(ctx, row); err != nil && ctx.Err() == nil {
					p.logger.ErrorContext(ctx, "tell a service of a sign-out", "error", err)
				}
			})
		}
		if err != nil || len(list) < places {
			return err
		}
	}
}

// places takes the places that are free, a batch at most; it waits for the first
// one, and none is left when ctx ends.
func (p *Provider) places(ctx context.Context) (n int) {
	select {
	case p.sending <- struct{}{}:
		n++
	case <-ctx.Done():
		return 0
	}
	for n < logoutBatch {
		select {
		case p.sending <- struct{}{}:
			n++
		default:
			return n
		}
	}
	return n
}

// sendLogout tries one service. What is decided is kept even while the node
// shuts down.
func (p *Provider) sendLogout(ctx context.Context, row logoutRow) error {
	client, err := p.clients.Get(ctx, row.ClientID)
	if errors.Is(err, clients.ErrUnknown) || errors.Is(err, clients.ErrDisabled) || err == nil && client.BackchannelLogoutURI == "" {
		_, err := p.logouts.end(ctx, row.ID) // nobody is there to be told any more
		return err
	}
	if err != nil {
		return err
	}
	status, err := p.postLogout(ctx, client, row)
	keep := context.WithoutCancel(ctx)
	switch {
	case err == nil && status >= 200 && status < 300:
		return p.endLogout(keep, row, audit.Succeeded, "")
	case ctx.Err() != nil:
		return p.logouts.putOff(keep, row.ID, 0)
	case err == nil && finalStatus(status):
		return p.endLogout(keep, row, audit.Failed, http.StatusText(status))
	case row.Late:
		return p.endLogout(keep, row, audit.Failed, "gave up")
	}
	p.logger.WarnContext(ctx, "a service does not take a logout, will be tried again", slog.String("client", client.ID),
		slog.Int("status", status), slog.Int("attempts", row.Attempts), slog.Any("error", err))
	return p.logouts.putOff(keep, row.ID, min(logoutPauseMax, time.Second<<min(row.Attempts, 12)))
}

// finalStatus is an answer that the same message will get again (§2.8).
func finalStatus(status int) bool {
	return status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests
}

func (p *Provider) postLogout(ctx context.Context, client clients.Client, row logoutRow) (status int, err error) {
	now := time.Now()
	token, err := p.keys.Sign(ctx, idTokenAlg(client), typLogoutToken, map[string]any{
		"iss": p.issuer, "aud": client.ID, "sub": row.Subject, "sid": row.SessionID, "jti": tokenID(),
		"iat": now.Unix(), "exp": now.Add(logoutTokenLife).Unix(), "events": map[string]any{logoutEvent: map[string]any{}},
	})
	if err != nil {
		return 0, err
	}
	return p.clients.Post(ctx, client.BackchannelLogoutURI, url.Values{"logout_token": {token}})
}

func (p *Provider) endLogout(ctx context.Context, row logoutRow, outcome audit.Outcome, why string) error {
	return p.db.InTx(ctx, func(ctx context.Context) error {
		ended, err := p.logouts.end(ctx, row.ID)
		if err != nil || !ended {
			return err
		}
		return p.audit.Record(ctx, audit.Event{
			Type: audit.LogoutSent, Outcome: outcome, Actor: audit.Actor{Kind: audit.System}, Client: row.ClientID, Session: row.SessionID, Reason: why,
		})
	})
}
