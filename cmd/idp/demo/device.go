package demo

import (
	"context"
	"errors"
	"fmt"
	"image/color"
	"net/http"
	"strings"

	"github.com/boombuler/barcode/qr"
	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// screen is the service where there is nothing to type on: a television, which
// shows where to go with a telephone and waits (RFC 8628).
type screen struct {
	Code, Address string // what to type, and where
	Link          string // both in one, as the picture says it
	Picture       picture
	Name          string // who has signed in
	Ended         string // "" while it waits, then "allowed" or the error that it got
	every         int64  // seconds between two looks
}

// picture is a QR code as the path of an SVG: one unit a module, with the quiet
// zone of four around it that readers need.
type picture struct {
	Size int
	Path string
}

const quietZone = 4

// draw makes the QR code of a text, such as can be read with a seventh of it
// covered by a reflection.
func draw(text string) (picture, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return picture{}, err
	}
	var path strings.Builder
	size := code.Bounds().Dx()
	for y := range size {
		for x := range size {
			if code.At(x, y) == color.Black {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x+quietZone, y+quietZone)
			}
		}
	}
	return picture{size + 2*quietZone, path.String()}, nil
}

// television is the screen of this browser's visit, as it stands now.
func (s *Service) television(w http.ResponseWriter, r *http.Request) {
	v := s.visitOf(w, r)
	s.mu.Lock()
	if v.screen == nil {
		v.screen = &screen{Ended: "off"}
	}
	now := *v.screen
	s.mu.Unlock()
	if now.Ended == "" {
		w.Header().Set("Refresh", fmt.Sprint(now.every))
	}
	head(w)
	_ = s.pages.ExecuteTemplate(w, "tv.html", now)
}

// switchOn asks the provider for a code and shows it, until somebody answers.
func (s *Service) switchOn(w http.ResponseWriter, r *http.Request) {
	v := s.visitOf(w, r)
	p, err := s.discover(r.Context())
	if err != nil {
		s.problem(w, r, v, "Il fornitore di identità non risponde.", err)
		return
	}
	config := s.oauth(p)
	config.ClientID, config.ClientSecret, config.Scopes = s.ScreenID, "", []string{oidc.ScopeOpenID, "profile"}
	config.Endpoint.AuthStyle = oauth2.AuthStyleInParams // it keeps no secret
	a, err := config.DeviceAuth(r.Context())
	if err != nil {
		s.problem(w, r, v, "Il fornitore di identità non dà un codice.", err)
		return
	}
	shown := &screen{Code: a.UserCode, Address: a.VerificationURI, Link: a.VerificationURIComplete, every: max(a.Interval, 1)}
	if shown.Picture, err = draw(shown.Link); err != nil {
		s.problem(w, r, v, "Il codice QR non riesce.", err)
		return
	}
	s.mu.Lock()
	v.screen = shown
	s.mu.Unlock()
	go s.wait(context.WithoutCancel(r.Context()), p, config, a, shown)
	http.Redirect(w, r, "/tv", http.StatusSeeOther)
}

// wait asks until the provider has an answer or the code's time is over, as
// often as it is told to.
func (s *Service) wait(ctx context.Context, p *oidc.Provider, config *oauth2.Config, a *oauth2.DeviceAuthResponse, shown *screen) {
	ended, name := "allowed", ""
	token, err := config.DeviceAccessToken(ctx, a)
	var refused *oauth2.RetrieveError
	switch {
	case err == nil:
		if name, err = s.whoIs(ctx, p, token); err != nil {
			ended = "failed"
		}
	case errors.As(err, &refused):
		ended = refused.ErrorCode
	case errors.Is(err, context.DeadlineExceeded):
		ended = "expired_token"
	default:
		ended = "failed"
	}
	s.mu.Lock()
	shown.Ended, shown.Name = ended, name
	s.mu.Unlock()
}

func (s *Service) whoIs(ctx context.Context, p *oidc.Provider, token *oauth2.Token) (string, error) {
	raw, _ := token.Extra("id_token").(string)
	id, err := p.Verifier(&oidc.Config{ClientID: s.ScreenID}).Verify(ctx, raw)
	if err != nil {
		return "", err
	}
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return "", err
	}
	if info.Subject != id.Subject {
		return "", errors.New("userinfo speaks of somebody else")
	}
	var claims struct{ Name string }
	err = info.Claims(&claims)
	return claims.Name, err
}
