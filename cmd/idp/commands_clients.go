package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"ente.example/idp/clients"
)

type clientsCommands struct {
	Add          clientsAdd     `cmd:"" help:"Register a service, from a metadata document or from flags."`
	List         clientsList    `cmd:"" help:"List the services."`
	Show         clientsShow    `cmd:"" help:"Show one service's metadata."`
	Update       clientsUpdate  `cmd:"" help:"Replace a service's metadata."`
	RotateSecret clientsRotate  `cmd:"" help:"Make a new secret; the old one stays valid for a while."`
	Disable      clientsDisable `cmd:"" help:"Refuse a service from now on."`
	Enable       clientsEnable  `cmd:"" help:"Admit a disabled service again."`
	Invite       clientsInvite  `cmd:"" help:"Make a token with which somebody registers services at /register."`
	Import       clientsImport  `cmd:"" help:"Import what export wrote, ids and digests included."`
	Export       clientsExport  `cmd:"" help:"Write every service as JSON, secrets as digests."`
}

type clientsAdd struct {
	File                  string   `arg:"" optional:"" help:"Metadata as JSON (RFC 7591); - for standard input."`
	Name                  string   `help:"The service's name, as people read it."`
	RedirectURI           []string `help:"Where it takes answers; may be repeated." sep:"none"`
	PostLogoutRedirectURI []string `help:"Where a sign-out may end; may be repeated." sep:"none"`
	AuthMethod            string   `help:"client_secret_basic, client_secret_post, private_key_jwt or none."`
	GrantType             []string `help:"authorization_code, refresh_token, client_credentials; may be repeated." sep:"none"`
	Scope                 string   `help:"What it may ask for; \"openid profile fiscal_code\" by default."`
	Public                bool     `help:"It can keep no secret: no authentication, PKCE."`
}

// Run registers a service and shows its secret, once.
func (c *clientsAdd) Run(i *invocation) error {
	doc, err := c.document(i)
	if err != nil {
		return err
	}
	return i.with(func(ctx context.Context, v *services) error {
		r, err := v.clients.Register(ctx, operator(), doc)
		if err != nil {
			return err
		}
		return i.registered(r)
	})
}

func (c *clientsAdd) flagged() bool {
	return c.Name != "" || len(c.RedirectURI) > 0 || len(c.PostLogoutRedirectURI) > 0 || c.AuthMethod != "" || len(c.GrantType) > 0 || c.Scope != "" || c.Public
}

func (c *clientsAdd) document(i *invocation) (clients.Document, error) {
	switch {
	case c.File != "" && c.flagged():
		return clients.Document{}, usageError{"a metadata document or flags, not both"}
	case c.File != "":
		return i.document(c.File)
	case !c.flagged():
		return clients.Document{}, usageError{"a metadata document is needed (- for standard input), or flags such as --name and --redirect-uri"}
	}
	method := c.AuthMethod
	if c.Public && method != "" && method != "none" {
		return clients.Document{}, usageError{"a public service authenticates with none"}
	}
	if c.Public {
		method = "none"
	}
	return clients.Document{Metadata: clients.Metadata{
		ClientName: c.Name, RedirectURIs: c.RedirectURI, PostLogoutRedirectURIs: c.PostLogoutRedirectURI,
		TokenEndpointAuthMethod: method, GrantTypes: c.GrantType, Scope: clients.ParseScope(cmp.Or(c.Scope, "openid profile fiscal_code")),
	}}, nil
}

func (i *invocation) document(name string) (clients.Document, error) {
	f, err := i.open(name)
	if err != nil {
		return clients.Document{}, err
	}
	defer func() { _ = f.Close() }()
	return clients.Decode(f)
}

// registered prints the RFC 7591 answer, and what was read differently.
func (i *invocation) registered(r clients.Registered) error {
	b, err := r.Encode()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(i.out, string(b)); err != nil || i.json {
		return err
	}
	for _, n := range r.Notes {
		if _, err := fmt.Fprintln(i.err, "note:", n); err != nil {
			return err
		}
	}
	return nil
}

type clientsList struct{}

// Run lists the services.
func (*clientsList) Run(i *invocation) error {
	return i.with(func(ctx context.Context, v *services) error {
		list, err := v.clients.List(ctx)
		if err != nil {
			return err
		}
		docs, lines := []clients.Document{}, []string{}
		for _, c := range list {
			docs = append(docs, c.Document())
			state := "enabled"
			if c.Disabled {
				state = "disabled"
			}
			lines = append(lines, strings.Join([]string{c.ID, state, c.In("it").ClientName}, "\t"))
		}
		return i.print(docs, lines...)
	})
}

// named is a command about one service.
type named struct {
	ID string `arg:"" help:"The service's client_id."`
}

type clientsShow struct {
	named
}

// Run shows one service, and says in words what it may do.
func (c *clientsShow) Run(i *invocation) error {
	return i.with(func(ctx context.Context, v *services) error {
		found, err := v.clients.Lookup(ctx, c.ID)
		if err != nil {
			return err
		}
		return i.registered(clients.Registered{Client: found, Notes: found.Words()})
	})
}

// client prints one service as it is registered now.
func (i *invocation) client(ctx context.Context, v *services, id string) error {
	c, err := v.clients.Lookup(ctx, id)
	if err != nil {
		return err
	}
	return i.registered(clients.Registered{Client: c})
}

type clientsUpdate struct {
	named
	File string `arg:"" optional:"" help:"Metadata as JSON; standard input by default."`
}

// Run replaces a service's metadata.
func (c *clientsUpdate) Run(i *invocation) error {
	doc, err := i.document(c.File)
	if err != nil {
		return err
	}
	return i.with(func(ctx context.Context, v *services) error {
		r, err := v.clients.Update(ctx, operator(), c.ID, doc)
		if err != nil {
			return err
		}
		return i.registered(r)
	})
}

type clientsRotate struct {
	named
}

// Run makes a new secret and shows it, once.
func (c *clientsRotate) Run(i *invocation) error {
	return i.with(func(ctx context.Context, v *services) error {
		r, err := v.clients.RotateSecret(ctx, operator(), c.ID)
		if err != nil {
			return err
		}
		return i.registered(r)
	})
}

type clientsDisable struct {
	named
}

// Run disables a service.
func (c *clientsDisable) Run(i *invocation) error {
	return i.with(func(ctx context.Context, v *services) error {
		if err := v.clients.Disable(ctx, operator(), c.ID); err != nil {
			return err
		}
		return i.client(ctx, v, c.ID)
	})
}

type clientsEnable struct {
	named
}

// Run enables a service.
func (c *clientsEnable) Run(i *invocation) error {
	return i.with(func(ctx context.Context, v *services) error {
		if err := v.clients.Enable(ctx, operator(), c.ID); err != nil {
			return err
		}
		return i.client(ctx, v, c.ID)
	})
}

type clientsInvite struct {
	Profile string        `help:"The profile of what is registered with it: oauth2.1, oidc or fapi2." default:"oauth2.1"`
	Uses    int           `help:"How many services may be registered with it." default:"1"`
	For     time.Duration `help:"How long it is good." default:"24h"`
}

// Run makes an initial access token (RFC 7591 §3) and shows it, once.
func (c *clientsInvite) Run(i *invocation) error {
	if c.Uses < 1 || c.For <= 0 {
		return usageError{"--uses and --for must be positive"}
	}
	return i.with(func(ctx context.Context, v *services) error {
		token, err := v.clients.Invite(ctx, operator(), clients.Invitation{Profile: clients.Profile(c.Profile), Uses: c.Uses, Life: c.For})
		if err != nil {
			return err
		}
		return i.print(map[string]string{"initial_access_token": token.Reveal()}, token.Reveal())
	})
}

type clientsImport struct {
	File string `arg:"" help:"What export wrote; - for standard input."`
}

// mostImport is how large a file of services may be.
const mostImport = 64 << 20

// Run imports services: all of them, or with anything wrong none.
func (c *clientsImport) Run(i *invocation) error {
	f, err := i.open(c.File)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	docs, err := clients.DecodeList(io.LimitReader(f, mostImport))
	if err != nil {
		return err
	}
	return i.with(func(ctx context.Context, v *services) error {
		r, err := v.clients.Import(ctx, operator(), docs)
		if err != nil {
			return err
		}
		return i.print(map[string]int{"added": r.Added, "updated": r.Updated, "unchanged": r.Unchanged},
			fmt.Sprintf("%d added, %d updated, %d unchanged.", r.Added, r.Updated, r.Unchanged))
	})
}

type clientsExport struct{}

// Run writes every service.
func (*clientsExport) Run(i *invocation) error {
	return i.with(func(ctx context.Context, v *services) error {
		docs, err := v.clients.Export(ctx)
		if err != nil {
			return err
		}
		b, err := json.MarshalIndent(notNil(docs), "", "  ")
		if err != nil {
			return err
		}
		return i.print(notNil(docs), string(b))
	})
}
