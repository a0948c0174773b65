package provider

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// delivered is what the service is told, however it travels.
func (s *service) delivered(a answer) url.Values {
	s.t.Helper()
	_, v := s.delivery(a)
	return v
}

var formField = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// delivery is an answer and the way it came, as response_mode names it.
func (s *service) delivery(a answer) (mode string, v url.Values) {
	s.t.Helper()
	location := a.Header.Get("Location")
	switch {
	case a.StatusCode == http.StatusSeeOther && strings.HasPrefix(location, callback+"?"):
		mode, v = modeQuery, must[url.Values](s.t)(url.ParseQuery(location[len(callback)+1:]))
	case a.StatusCode == http.StatusSeeOther && strings.HasPrefix(location, callback+"#"):
		mode, v = modeFragment, must[url.Values](s.t)(url.ParseQuery(location[len(callback)+1:]))
	case a.StatusCode == http.StatusOK && strings.Contains(a.body, `action="`+callback+`"`):
		mode, v = modeFormPost, url.Values{}
		for _, field := range formField.FindAllStringSubmatch(a.body, -1) {
			v.Add(html.UnescapeString(field[1]), html.UnescapeString(field[2]))
		}
	default:
		s.t.Fatalf("answer = %d to %q, want one to the service\n%s", a.StatusCode, location, a.body)
	}
	if !v.Has("response") {
		return mode, v
	}
	_, claims := payload(s.t, v.Get("response"))
	v = url.Values{}
	for name, value := range claims {
		v.Set(name, fmt.Sprint(value))
	}
	return mode + signedMode, v
}
