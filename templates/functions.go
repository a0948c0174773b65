package templates

import (
	"html/template"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// functions are what templates may call, in one language. Each answers by its
// arguments, the language and the installation, and by nothing else (see fold):
// what depends on the moment or the reader comes with the page.
func (s *Set) functions(w *words) template.FuncMap {
	return template.FuncMap{
		"t":          w.say,
		"rich":       w.html,
		"asset":      s.assets.url,
		"clock":      w.clock,
		"clockUp":    func(t time.Time) template.HTML { return w.clock(roundUp(t)) },
		"hour":       w.hour,
		"moment":     w.moment,
		"date":       w.date,
		"when":       w.when,
		"reopens":    w.reopens,
		"hours":      func() (string, error) { return w.hours(s.institution.Hours) },
		"minutes":    minutesLeft,
		"lasting":    w.lasting,
		"figure":     func(name string) any { return w.figures[name] },
		"days":       func(d time.Duration) int { return int(d.Hours() / 24) },
		"seconds":    func(now, until time.Time) int { return max(0, int(until.Sub(now).Seconds())) },
		"in":         func(t Text) string { return t.In(w.language) },
		"link":       link,
		"dial":       dial,
		"target":     func(action string) template.URL { return template.URL(action) }, //nolint:gosec // FormPost.check has looked
		"label":      w.label,
		"languages":  func() []heading { return s.headings(w.language) },
		"page":       func() string { return "" }, // each page's own name (see extend)
		"country":    w.country,
		"countries":  w.countries,
		"dayOf":      w.day,
		"attributes": w.attributes,
		"phrase":     w.phrase,
		"problems":   problems,
		"icon":       s.icon,
		// what is the same on every page
		"language":     func() string { return w.language },
		"institution":  func() *Institution { return &s.institution },
		"alternatives": s.institution.leading,
		"telephone":    s.institution.call,
		"hexPIN":       func() bool { return s.hexPIN },
	}
}

// link is an element that leads to an outside address of the institution or the service.
func link(address, text string) template.HTML {
	return template.HTML(`<a href="` + template.HTMLEscapeString(safeAddress(address)) + `">` + template.HTMLEscapeString(text) + `</a>`) //nolint:gosec // escaped here
}

// dial is an element that rings a number.
func dial(p *Phone) template.HTML {
	return template.HTML(`<a href="tel:` + template.HTMLEscapeString(p.Number) + `">` + template.HTMLEscapeString(p.Shown) + `</a>`) //nolint:gosec // escaped here
}

// safeAddress lets web, mail and telephone addresses through, nothing that runs.
func safeAddress(address string) string {
	for _, scheme := range []string{"https://", "http://", "mailto:", "tel:", "/"} {
		if strings.HasPrefix(address, scheme) && !strings.HasPrefix(address, "//") {
			return address
		}
	}
	return "#"
}

// icon is a drawing of the sprite, for the eyes only: words always stand beside it.
func (s *Set) icon(name string) template.HTML {
	return template.HTML(`<svg class="icon" aria-hidden="true"><use href="` + s.assets.url("icons.svg") + `#` + name + `"></use></svg>`) //nolint:gosec // names are literals of the templates
}

// problems are the field problems by field; no problem for the others.
func problems(list []FieldProblem) map[string]FieldProblem {
	if len(list) == 0 {
		return nil
	}
	by := map[string]FieldProblem{}
	for _, p := range list {
		by[p.Field] = p
	}
	return by
}

// roundUp goes to the next whole minute: what is said to open at 10:42 must not
// still be shut at 10:42.
func roundUp(t time.Time) time.Time {
	if t.Truncate(time.Minute).Equal(t) {
		return t
	}
	return t.Truncate(time.Minute).Add(time.Minute)
}

// minutesLeft is never less than one: zero minutes are no wait.
func minutesLeft(now, until time.Time) int {
	return max(1, int((until.Sub(now)+time.Minute-time.Nanosecond)/time.Minute))
}

func element(t time.Time, layout, text string) template.HTML {
	return template.HTML(`<time datetime="` + t.Format(layout) + `">` + template.HTMLEscapeString(text) + `</time>`) //nolint:gosec // escaped here
}

// clock is a time of day in Rome: 10:42.
func (w *words) clock(t time.Time) template.HTML {
	t = t.In(rome())
	return element(t, time.RFC3339, t.Format("15:04"))
}

// hour is a time of opening, without a leading zero: 8:00.
func (w *words) hour(t time.Time) template.HTML {
	t = t.In(rome())
	return element(t, time.RFC3339, strings.TrimPrefix(t.Format("15:04"), "0"))
}

// day is a date in words: 18 novembre 2026; in Italian the first is 1º.
func (w *words) day(t time.Time) (string, error) {
	month, err := w.say("month." + strconv.Itoa(int(t.Month())))
	if err != nil {
		return "", err
	}
	number := strconv.Itoa(t.Day())
	if t.Day() == 1 {
		if number, err = w.say("day.first"); err != nil {
			return "", err
		}
	}
	return w.say("date", "Day", number, "Month", month, "Year", strconv.Itoa(t.Year()))
}

// date is a day in Rome, as a machine reads it, too.
func (w *words) date(t time.Time) (template.HTML, error) {
	t = t.In(rome())
	text, err := w.day(t)
	return element(t, time.DateOnly, text), err
}

// moment is date and time to the second, for the error page.
func (w *words) moment(t time.Time) (template.HTML, error) {
	t = t.In(rome())
	day, err := w.day(t)
	if err != nil {
		return "", err
	}
	return element(t, time.RFC3339, day+", "+t.Format("15:04:05")), nil
}

// when is a moment of the past, as near as it is: today at, yesterday at, a date.
func (w *words) when(t, now time.Time) (template.HTML, error) {
	t, now = t.In(rome()), now.In(rome())
	clock := t.Format("15:04")
	var text string
	var err error
	switch daysBetween(t, now) {
	case 0:
		text, err = w.say("when.today", "Clock", clock)
	case 1:
		text, err = w.say("when.yesterday", "Clock", clock)
	default:
		var day string
		if day, err = w.day(t); err == nil {
			text, err = w.say("when.date", "Day", day, "Clock", clock)
		}
	}
	return element(t, time.RFC3339, text), err
}

// reopens says when the contact centre answers again; nothing when nobody knows.
func (w *words) reopens(at, now time.Time) (template.HTML, error) {
	if at.IsZero() {
		return "", nil
	}
	at, now = at.In(rome()), now.In(rome())
	clock := w.hour(at)
	switch days := daysBetween(now, at); {
	case days == 0:
		return w.html("desk.reopens.today", "Clock", clock)
	case days == 1:
		return w.html("desk.reopens.tomorrow", "Clock", clock)
	case days < 7:
		day, err := w.say("weekday." + weekday(at.Weekday()))
		if err != nil {
			return "", err
		}
		return w.html("desk.reopens.day", "Day", day, "Clock", clock)
	default:
		day, err := w.day(at)
		if err != nil {
			return "", err
		}
		return w.html("desk.reopens.date", "Day", day, "Clock", clock)
	}
}

// daysBetween counts civil days, whatever summer time does to their length.
func daysBetween(from, to time.Time) int {
	a := time.Date(from.Year(), from.Month(), from.Day(), 0, 0, 0, 0, time.UTC)
	b := time.Date(to.Year(), to.Month(), to.Day(), 0, 0, 0, 0, time.UTC)
	return int(b.Sub(a) / (24 * time.Hour))
}

func weekday(d time.Weekday) string {
	return [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}[d]
}

// hours are the opening hours in one sentence: "Dal lunedì al venerdì 8–20, sabato 8–14".
func (w *words) hours(openings []Opening) (string, error) {
	var parts []string
	for _, o := range openings {
		days, err := w.openDays(o.Days)
		if err != nil {
			return "", err
		}
		parts = append(parts, days+" "+shortHour(o.From)+"–"+shortHour(o.To))
	}
	text := strings.Join(parts, ", ")
	if text == "" {
		return "", nil
	}
	return strings.ToUpper(text[:1]) + text[1:], nil
}

// openDays names the days of one opening: a run of three or more as a range.
func (w *words) openDays(days []string) (string, error) {
	if len(days) >= 3 && consecutive(days) {
		first, err := w.say("weekday.from." + days[0])
		if err != nil {
			return "", err
		}
		last, err := w.say("weekday.to." + days[len(days)-1])
		return first + " " + last, err
	}
	var names []string
	for _, d := range days {
		name, err := w.say("weekday." + d)
		if err != nil {
			return "", err
		}
		names = append(names, name)
	}
	return strings.Join(names, ", "), nil
}

func consecutive(days []string) bool {
	week := "mon tue wed thu fri sat sun"
	return strings.Contains(week, strings.Join(days, " "))
}

// shortHour is how hours stand in a sentence: 8, 8:30, 20.
func shortHour(clock string) string {
	return strings.TrimSuffix(strings.TrimPrefix(clock, "0"), ":00")
}

// lasting is a length of time in words, in the largest unit that it is whole in;
// a day is 24 hours, as people say it of a code.
func (w *words) lasting(d time.Duration) (string, error) {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return w.say("duration.seconds", "Count", int(d.Seconds()))
	case d > day && d%day == 0:
		return w.say("duration.days", "Count", int(d/day))
	case d >= time.Hour && d%time.Hour == 0:
		return w.say("duration.hours", "Count", int(d.Hours()))
	}
	return w.say("duration.minutes", "Count", int(d.Minutes()))
}

// label is the name of a claim for people. A claim without one is shown by its
// own name, which is better than not showing what is sent.
func (w *words) label(claim string) string {
	short := claim[strings.LastIndexByte(claim, '/')+1:]
	name, err := w.say("claim." + short)
	if err != nil {
		return short
	}
	return name
}

// attribute is an attribute as people read it.
type attribute struct {
	Name, Value template.HTML
	New, Number bool
}

// attributes puts attributes into words: all at once, since a page asks by reflection.
func (w *words) attributes(list []Attribute) ([]attribute, error) {
	shown := make([]attribute, 0, len(list))
	for _, a := range list {
		value, err := w.value(a)
		if err != nil {
			return nil, err
		}
		shown = append(shown, attribute{
			Name:   template.HTML(template.HTMLEscapeString(w.label(a.Claim))), //nolint:gosec // escaped here
			Value:  value,
			New:    a.New,
			Number: strings.HasSuffix(a.Claim, "/fiscal_number") || a.Claim == "phone_number",
		})
	}
	return shown, nil
}

// value puts the value of an attribute into words.
func (w *words) value(a Attribute) (template.HTML, error) {
	switch a.Claim {
	case "birthdate":
		day, err := time.Parse(time.DateOnly, a.Value)
		if err != nil {
			break
		}
		text, err := w.day(day)
		return element(day, time.DateOnly, text), err
	case "gender", "pin_kind":
		if text, err := w.say("claim." + a.Claim + "." + a.Value); err == nil {
			return template.HTML(template.HTMLEscapeString(text)), nil //nolint:gosec // escaped here
		}
	case "email_verified", "phone_number_verified":
		text, err := w.say("claim.verified." + a.Value)
		if err == nil {
			return template.HTML(template.HTMLEscapeString(text)), nil //nolint:gosec // escaped here
		}
	}
	lines := a.lines()
	if last := len(lines) - 1; a.Claim == "address" && last >= 0 {
		lines[last] = w.country(lines[last])
	}
	for i, l := range lines {
		lines[i] = template.HTMLEscapeString(l)
	}
	return template.HTML(strings.Join(lines, "<br>")), nil //nolint:gosec // escaped above
}

// country puts the code that an address ends with into words: people know
// Germania, services DE.
func (w *words) country(code string) string {
	region, err := language.ParseRegion(code)
	if err != nil || len(code) != 2 {
		return code
	}
	if name := display.Regions(language.Make(w.language)).Name(region); name != "" {
		return name
	}
	return code
}
