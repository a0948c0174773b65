package selfservice

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"

	"ente.example/idp/templates"
	"ente.example/idp/web"
)

// question is one of the guide, with its answers.
type question struct {
	name    string
	answers []templates.Choice
}

// questions of the guide, in the order in which they may come (pin-rules §2.7).
func questions() []question {
	return []question{
		{templates.LostUsed, []templates.Choice{
			{Value: "yes", Note: true}, {Value: "no", Note: true}, {Value: "expired"}, {Value: "waiting"},
		}},
		{templates.LostContacts, []templates.Choice{{Value: "yes", Note: true}, {Value: "no"}, {Value: "unsure"}}},
		{templates.LostCard, []templates.Choice{{Value: "yes", Note: true}, {Value: "no", Note: true}}},
	}
}

func (q question) takes(answer string) bool {
	return slices.ContainsFunc(q.answers, func(c templates.Choice) bool { return c.Value == answer })
}

// answers are what was said so far, by question. They come with every request
// and are kept nowhere: the guide asks people, never the archive.
type answers map[string]string

// answersIn takes those that make sense; the others have not been given.
func answersIn(get func(name string) string) answers {
	given := answers{}
	for _, q := range questions() {
		if said := get(q.name); q.takes(said) {
			given[q.name] = said
		}
	}
	return given
}

// next is the table of pin-rules §2.7: the question that is still open, or the
// road. Exactly one of the two is empty.
func (a answers) next() (ask, road string) {
	switch a[templates.LostUsed] {
	case "expired":
		return "", templates.LostSignIn
	case "waiting":
		return "", templates.LostWait
	case "":
		return templates.LostUsed, ""
	case "yes":
		switch a[templates.LostContacts] {
		case "":
			return templates.LostContacts, ""
		case "yes":
			return "", templates.LostRecover
		}
	}
	switch a[templates.LostCard] {
	case "yes":
		return "", templates.LostRevoke
	case "no":
		return "", templates.LostCall
	default:
		return templates.LostCard, ""
	}
}

// path are the answers on the way to here, in order: those that were asked for.
func (a answers) path() []templates.Field {
	var fields []templates.Field
	for so := (answers{}); ; {
		ask, _ := so.next()
		said, ok := a[ask]
		if !ok {
			return fields
		}
		so[ask] = said
		fields = append(fields, templates.Field{Name: ask, Value: said})
	}
}

// query is that path as an address carries it.
func query(path []templates.Field) url.Values {
	q := url.Values{}
	for _, f := range path {
		q.Set(f.Name, f.Value)
	}
	return q
}

// lost shows the next question, or the road.
func (h *Handler) lost(c echo.Context) error {
	left, err := h.leftSignIn(c)
	if err != nil {
		return err
	}
	return left.render(c, h.lostPage(c, left, answersIn(c.QueryParam)))
}

// answerLost takes one answer and goes on to an address that can be reloaded.
func (h *Handler) answerLost(c echo.Context) error {
	left, err := h.leftSignIn(c)
	if err != nil {
		return err
	}
	given := answersIn(func(name string) string { return web.PostValue(c, name) })
	page := h.lostPage(c, left, given)
	said := web.PostValue(c, "answer")
	for _, q := range questions() {
		if q.name == page.Question && q.takes(said) {
			given[q.name] = said
			return c.Redirect(http.StatusSeeOther, left.address(lostPath, query(given.path())))
		}
	}
	if page.Question != "" {
		page.Fields = []templates.FieldProblem{{Field: "answer", Problem: templates.FieldMissing}}
	}
	return left.render(c, page)
}

// lostPage puts the page together.
func (h *Handler) lostPage(c echo.Context, left left, given answers) templates.PINLost {
	ask, road := given.next()
	path := given.path()
	p := templates.PINLost{
		Question: ask, Road: available(c, road), Hidden: path,
		BackURL: left.address(homePath, nil), HomeURL: left.address(homePath, nil), SignInURL: left.resume,
		First: given[templates.LostUsed] == "no", Threshold: h.Lock.Threshold, Wait: h.Lock.Wait,
		ForgottenURL: left.address(lostPath, url.Values{templates.LostUsed: {"yes"}}),
		Number:       len(path) + 1, Of: 3,
	}
	if p.First {
		p.Of = 2 // who never used the PIN is not asked for contacts
	}
	if len(path) > 0 {
		p.BackURL = left.address(lostPath, query(path[:len(path)-1]))
	}
	if left.id != "" {
		p.Hidden = append(p.Hidden, templates.Field{Name: signInField, Value: left.id})
	}
	for _, q := range questions() {
		if q.name == ask {
			p.Choices = q.answers
		}
	}
	return p
}

// available is the road, or the telephone where its page is not built.
func available(c echo.Context, road string) string {
	page := map[string]string{templates.LostRecover: recoverPath, templates.LostRevoke: revokePath}[road]
	if page != "" && !built(c, page) {
		return templates.LostCall
	}
	return road
}
