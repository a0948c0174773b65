package consent

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/authorizations"
	"ente.example/idp/citizens"
	"ente.example/idp/clients"
	"ente.example/idp/database"
	"ente.example/idp/login"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// HandlerDeps is what the page needs.
type HandlerDeps struct {
	Consents     *Consents
	Interactions *login.Interactions
	Sessions     *login.Sessions
	Citizens     *citizens.Registry
	Clients      *clients.Registry
	// Onward goes on with an answer; nil is login.Resume.
	Onward login.Onward
	// Authorizations put into words what is asked for in detail; nil for none.
	Authorizations *authorizations.Types
	Issuer         string
	LevelACRs      []string // the acr of level 1, 2, 3
	// OfflineFor is how long a service may go on reading with offline_access;
	// zero says the rule's 30 days.
	OfflineFor time.Duration
}

// Handler answers for the consent page.
type Handler struct{ HandlerDeps }

// NewHandler returns the page. All of d but Onward, Authorizations and OfflineFor is required.
func NewHandler(d HandlerDeps) (*Handler, error) {
	if d.Consents == nil || d.Interactions == nil || d.Sessions == nil || d.Citizens == nil || d.Clients == nil {
		return nil, errors.New("consent: a dependency is missing")
	}
	if d.Issuer == "" || len(d.LevelACRs) == 0 {
		return nil, errors.New("consent: issuer and levels are required")
	}
	if d.Onward == nil {
		d.Onward = login.Resume
	}
	return &Handler{d}, nil
}

// Mount adds the routes.
func (h *Handler) Mount(e *echo.Echo) {
	g := e.Group("/consent/:id", login.Lost{Clients: h.Clients, Issuer: h.Issuer}.Catch)
	g.GET("", h.show)
	g.POST("", h.decide)
}

// open finds the interaction and the session; without one, or without a service
// that asks, the next step is not ours.
func (h *Handler) open(c echo.Context, others ...database.Query) (login.Visit, *login.Session, error) {
	v, s, err := login.OpenSignedIn(c, h.Interactions, h.Sessions, h.Clients, others...)
	if v.Own != nil {
		s = nil
	}
	return v, s, err
}

// show lists what would be sent, by name and value.
func (h *Handler) show(c echo.Context) error {
	asked, read := h.Citizens.Asking(login.CurrentCitizen(c))
	v, s, err := h.open(c, read)
	if err != nil {
		return err
	}
	details, fault := h.details(v)
	if s == nil || fault != nil {
		return v.Resume(c)
	}
	ctx := c.Request().Context()
	person, err := asked.Citizen()
	if err != nil {
		return err
	}
	k, err := h.Consents.kept(ctx, s.Citizen, v.Service)
	if err != nil {
		return err
	}
	page := h.page(v, *s, person, k)
	page.Permissions = h.Authorizations.Permissions(details)
	return v.Render(c, page, web.SignedInAs(fullName(person)))
}

// details are what is asked for beyond claims. Types that have changed since the
// request came in are for the next step to refuse.
func (h *Handler) details(v login.Visit) (authorizations.Details, error) {
	if v.Wants.Details == "" {
		return nil, nil
	}
	return h.Authorizations.Parse(v.Wants.Details)
}

func (h *Handler) page(v login.Visit, s login.Session, person citizens.Citizen, k *kept) templates.Consent {
	return templates.Consent{
		Action:     "/consent/" + v.ID,
		Attributes: attributes(v.Wants, subject{person, string(s.Kind)}, k),
		Renewed:    k != nil && !k.covers(v.Wants),
		Offline:    v.Wants.Offline, OfflineNew: k != nil && v.Wants.Offline && !k.offline, OfflineFor: h.OfflineFor,
		Purpose:  v.Service.Purpose,
		Remember: v.Service.Consent == clients.ConsentRemember && v.Wants.Details == "",
		Person:   fullName(person), SignedInAt: s.AuthTime, PreviousAccess: s.PreviousAccess,
		Level:      slices.Index(h.LevelACRs, s.ACR) + 1,
		SignOutURL: "/sign-out",
		Hidden:     login.SessionFields(&s),
	}
}

// attributes are the rows of the page. A claim that only repeats others on the
// page has no row of its own, and is new when one of theirs is.
func attributes(w login.Wants, s subject, k *kept) []templates.Attribute {
	asked := Asked(w)
	var fresh []string
	if k != nil {
		fresh = k.fresh(w)
	}
	var rows []templates.Attribute
	for _, entry := range catalogue() {
		if !slices.Contains(asked, entry.name) || repeats(entry.name, asked) {
			continue
		}
		rows = append(rows, templates.Attribute{
			Claim: entry.name, Value: entry.text(s),
			New: slices.ContainsFunc(fresh, func(name string) bool { return name == entry.name || repeatedBy(name, entry.name) }),
		})
	}
	return rows
}

// repeated names the claims that say nothing beyond others, and which others.
func repeated(name string) []string {
	switch name {
	case "name":
		return []string{"given_name", "family_name"}
	case "email_verified":
		return []string{"email"}
	case "phone_number_verified":
		return []string{"phone_number"}
	}
	return nil
}

func repeats(name string, asked []string) bool {
	others := repeated(name)
	return len(others) > 0 && !slices.ContainsFunc(others, func(o string) bool { return !slices.Contains(asked, o) })
}

func repeatedBy(name, other string) bool { return slices.Contains(repeated(name), other) }

func fullName(p citizens.Citizen) string { return p.GivenName + " " + p.FamilyName }

// decide takes the answer. What is allowed is what the interaction asks for,
// never what the form says; a form that showed another person's data, or no
// answer, is shown again.
func (h *Handler) decide(c echo.Context) error {
	v, s, err := h.open(c)
	if err != nil {
		return err
	}
	details, fault := h.details(v)
	if s == nil || fault != nil {
		return v.Resume(c)
	}
	d := Decision{
		Interaction: v.Interaction, Session: *s, Client: v.Service,
		Remember: web.PostValue(c, "remember") == "yes", Types: details.Types(),
	}
	switch answer := web.PostValue(c, "answer"); {
	case !login.SameSession(c, s), answer != "allow" && answer != "deny":
		return c.Redirect(http.StatusSeeOther, "/consent/"+v.ID)
	case answer == "allow":
		return h.answer(c, d, d.allowed())
	default:
		return h.answer(c, d, d.denied())
	}
}

// answer goes on with an answer. Where another tab was first, its answer stands
// and is what the browser goes on with.
func (h *Handler) answer(c echo.Context, d Decision, a login.Answer) error {
	by := login.Actor(c, &d.Session)
	err := h.Onward(c, login.Step{
		Interaction: d.Interaction.Answered(a), Session: &d.Session,
		Record: func(ctx context.Context, last bool) error { return h.Consents.record(ctx, by, d, a, last) },
	})
	if errors.Is(err, login.ErrAnswered) {
		return c.Redirect(http.StatusSeeOther, d.Interaction.ResumeURL())
	}
	return err
}
