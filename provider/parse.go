package provider

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

// maxParameters bounds a request: no client of ours needs a tenth of it.
const maxParameters = 100

const formContentType = "application/x-www-form-urlencoded"

// form holds the parameters of one request, each at most once. Only resource
// may be repeated (RFC 8707). A parameter without a value counts as absent
// (RFC 6749 §3.1).
type form struct {
	values   url.Values
	repeated []string
}

// Get is the parameter's value, or empty.
func (f form) Get(name string) string { return f.values.Get(name) }

// All are the values of a parameter that may be repeated.
func (f form) All(name string) []string { return f.values[name] }

// Encode is the parameters of those names, as they can be kept and read again.
func (f form) Encode(names ...string) string {
	kept := url.Values{}
	for _, name := range names {
		if all := f.values[name]; len(all) > 0 {
			kept[name] = all
		}
	}
	return kept.Encode()
}

// isRepeated reports whether a parameter came more than once.
func (f form) isRepeated(name string) bool {
	for _, r := range f.repeated {
		if r == name {
			return true
		}
	}
	return false
}

// once refuses a form in which anything is repeated.
func (f form) once() error {
	if len(f.repeated) > 0 {
		return badRequest(codeInvalidRequest, "a parameter is included more than once")
	}
	return nil
}

// parseForm reads the body of a POST and nothing else: credentials in a query
// would end in the logs of every proxy between.
func parseForm(c echo.Context) (form, error) {
	f, err := readBody(c.Request())
	if err != nil {
		return form{}, err
	}
	return f, f.once()
}

func readBody(r *http.Request) (form, error) {
	if !isFormType(r.Header.Get(echo.HeaderContentType)) {
		return form{}, oauthError(codeInvalidRequest, "the body must be "+formContentType, http.StatusUnsupportedMediaType)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return form{}, readError(err)
	}
	return parseParameters(string(body))
}

// isFormType does not take what nearly everybody sends apart.
func isFormType(content string) bool {
	if content == formContentType {
		return true
	}
	kind, _, err := mime.ParseMediaType(content)
	return err == nil && kind == formContentType
}

// readError tells a body that is too large, which web has cut off, from one
// that the client did not finish.
func readError(err error) error {
	if e := asProtocolError(err); e.Status == http.StatusRequestEntityTooLarge {
		return e
	}
	if he, ok := err.(*echo.HTTPError); ok && he.Code == http.StatusRequestEntityTooLarge { //nolint:errorlint // echo returns it bare
		return oauthError(codeInvalidRequest, "the request body is too large", he.Code)
	}
	e := badRequest(codeInvalidRequest, "the body could not be read")
	e.cause = fmt.Errorf("read body: %w", err)
	return e
}

// parseParameters reads a query or a body. What databases and headers choke on
// (NUL, broken UTF-8) is refused here, once for all parameters.
func parseParameters(raw string) (form, error) {
	if strings.Count(raw, "&") >= maxParameters {
		return form{}, badRequest(codeInvalidRequest, "too many parameters")
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return form{}, badRequest(codeInvalidRequest, "the parameters are not properly encoded")
	}
	f := form{values: values}
	for name, all := range values {
		if len(all) > 1 && name != "resource" {
			f.repeated = append(f.repeated, name)
		}
		if !clean(name) || !allClean(all) {
			return form{}, badRequest(codeInvalidRequest, "a parameter is not valid text")
		}
		values[name] = slices.DeleteFunc(all, func(v string) bool { return v == "" })
		if len(values[name]) == 0 {
			delete(values, name)
		}
	}
	return f, nil
}

func allClean(values []string) bool {
	return !slices.ContainsFunc(values, func(v string) bool { return !clean(v) })
}

func clean(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
