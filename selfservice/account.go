package selfservice

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/login"
	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// The pages of the own area. Each is mounted by its own file, through inside.
const (
	accountPath  = login.AreaPath
	changePath   = accountPath + "/pin"
	contactsPath = accountPath + "/contacts"
	enterPath    = accountPath + "/enter/:id"
)

// areaPages are the pages that the navigation shows, as far as they are built.
func areaPages() []templates.AreaPage {
	return []templates.AreaPage{
		{Name: "overview", URL: accountPath},
		{Name: "pin", URL: changePath},
		{Name: "contacts", URL: contactsPath},
	}
}

func (h *Handler) mountAccount(e *echo.Echo) {
	e.GET(enterPath, h.enter, h.gone.Catch)
	e.GET(accountPath, h.inside(h.account))
	h.mountIdle(e)
}

// resident is who is in the own area: what each of its pages begins with.
type resident struct {
	login.Session
	Person citizens.Citizen
}

func (r resident) name() string { return r.Person.GivenName + " " + r.Person.FamilyName }

// inside makes a page of the own area. Who is not signed in, or no longer, signs
// in and comes back to it; a form that showed another person's page is not
// taken, and the page shown anew. To ask for the page is activity (R55).
func (h *Handler) inside(page func(echo.Context, resident) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		s, err := login.Awake(c, h.Sessions)
		if err != nil {
			return err
		}
		if s == nil {
			return h.signIn(c, login.Own{Page: c.Path()}, login.Wants{})
		}
		if c.Request().Method == http.MethodPost && !login.SameSession(c, s) {
			return c.Redirect(http.StatusSeeOther, c.Path())
		}
		person, err := h.Citizens.ByID(c.Request().Context(), s.Citizen)
		if err != nil {
			return err
		}
		return page(c, resident{*s, person})
	}
}

// show answers with a page of the own area, which warns before the session ends.
func (h *Handler) show(c echo.Context, r resident, p templates.Page) error {
	h.warn(c, r.Session, c.Path())
	return web.Render(c, http.StatusOK, p, web.SignedInAs(r.name()), web.InArea(navigation(c)), web.At(r.Now))
}

func navigation(c echo.Context) templates.Area {
	var a templates.Area
	for _, p := range areaPages() {
		if built(c, p.URL) {
			p.Current = p.URL == c.Path()
			a.Pages = append(a.Pages, p)
		}
	}
	return a
}

// signIn begins a sign-in that leads to a page of the own area.
func (h *Handler) signIn(c echo.Context, to login.Own, wants login.Wants) error {
	to.Ended = login.HadSession(c) && !wants.ForceLogin
	i, err := h.Interactions.Start(c.Request().Context(), web.Browser(c), login.Request{Own: &to, Wants: wants})
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, i.ResumeURL())
}

// enter is where the pages of such a sign-in return to. It decides what comes
// next, as provider does for a service: sign in, go on, or give up.
func (h *Handler) enter(c echo.Context) error {
	v, err := login.Open(c, h.Interactions, h.Clients)
	if err != nil {
		return err
	}
	if v.Own == nil {
		return v.Resume(c) // a service's, which is resumed elsewhere
	}
	to := v.Own.Page
	if c.QueryParam("cancel") != "" {
		to = homePath
	} else {
		s, err := login.Awake(c, h.Sessions)
		if err != nil {
			return err
		}
		if s == nil || v.Wants.ForceLogin && v.Session != s.ID {
			return c.Redirect(http.StatusSeeOther, "/login/"+v.ID)
		}
	}
	if err := h.Interactions.End(c.Request().Context(), v.Interaction); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, to)
}

// account is the first page of the area: last access, PIN, contacts.
func (h *Handler) account(c echo.Context, r resident) error {
	pin, err := h.Credentials.StatusOf(c.Request().Context(), r.Person)
	if err != nil {
		return err
	}
	p := templates.Account{
		GivenName: r.Person.GivenName, PreviousAccess: r.PreviousAccess, Contacts: contactRows(r.Person),
		PINURL: ifBuilt(c, changePath), ContactsURL: ifBuilt(c, contactsPath), ReportURL: ifBuilt(c, reportPath),
	}
	if pin.State == credentials.Active || pin.State == credentials.ChangeDue {
		p.Kind, p.ChangedAt, p.DueAt = string(pin.Kind), pin.ChangedAt, pin.DueAt
	}
	return h.show(c, r, p)
}

func ifBuilt(c echo.Context, path string) string {
	if built(c, path) {
		return path
	}
	return ""
}

// contactRows names every kind, so that one sees which is missing. The values
// are masked: who looks over a shoulder learns nothing (R36 asks for them).
func contactRows(person citizens.Citizen) []templates.ContactRow {
	var rows []templates.ContactRow
	for _, kind := range citizens.ContactKinds() {
		c := person.Contacts.Of(kind)
		rows = append(rows, templates.ContactRow{Kind: string(kind), Masked: c.Value.Masked(), Verified: c.Verified})
	}
	return rows
}
