package provider

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
)

func TestParseParameters(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, raw, want string // the error code, empty for none
	}{
		{"nothing", "", ""},
		{"plain", "a=1&b=2", ""},
		{"a parameter without a value", "a=&b", ""},
		{"not percent-encoded", "a=%zz", codeInvalidRequest},
		{"a semicolon", "a=1;b=2", codeInvalidRequest},
		{"NUL", "a=%00", codeInvalidRequest},
		{"NUL in a name", "%00=a", codeInvalidRequest},
		{"broken UTF-8", "a=%ff", codeInvalidRequest},
		{"a hundred", strings.Repeat("a=1&", 99) + "a=1", ""},
		{"a hundred and one", strings.Repeat("a=1&", 100) + "a=1", codeInvalidRequest},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseParameters(row.raw)
			if got := codeOf(err); got != row.want {
				t.Errorf("code = %q, want %q", got, row.want)
			}
		})
	}
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return asProtocolError(err).Code
}

func TestFormKeepsEachParameterOnce(t *testing.T) {
	t.Parallel()
	f, err := parseParameters("resource=a&resource=b&scope=x&state=1&state=")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(f.All("resource"), " "); got != "a b" {
		t.Errorf("resource = %q, want both", got)
	}
	if !f.isRepeated("state") || f.isRepeated("resource") || f.isRepeated("scope") {
		t.Errorf("repeated = %v, want state alone, empty values counted", f.repeated)
	}
	if got := codeOf(f.once()); got != codeInvalidRequest {
		t.Errorf("once = %q, want %s", got, codeInvalidRequest)
	}
}

func TestParseFormReadsOnlyTheBody(t *testing.T) {
	t.Parallel()
	post := func(contentType, body string) (form, error) {
		r := httptest.NewRequest(http.MethodPost, "/token?code=query", strings.NewReader(body))
		r.Header.Set(echo.HeaderContentType, contentType)
		return parseForm(echo.New().NewContext(r, httptest.NewRecorder()))
	}
	f, err := post("application/x-www-form-urlencoded; charset=UTF-8", "grant_type=x")
	if err != nil || f.Get("code") != "" || f.Get("grant_type") != "x" {
		t.Errorf("form = %v, %v; want the body alone", f.values, err)
	}
	for _, kind := range []string{"", "multipart/form-data; boundary=x", "application/json", "text/plain"} {
		_, err := post(kind, "grant_type=x")
		if got := asProtocolError(err).Status; got != http.StatusUnsupportedMediaType {
			t.Errorf("%q: status = %d, want 415", kind, got)
		}
	}
}

// FuzzParseParameters holds the parser to its promise: whatever comes in, it
// refuses or gives clean text.
func FuzzParseParameters(f *testing.F) {
	f.Add("client_id=a&resource=b&resource=c&state=%20")
	f.Add("a=%00&b=%ff;")
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := parseParameters(raw)
		if err != nil {
			if e := asProtocolError(err); e.Status >= http.StatusInternalServerError {
				t.Errorf("status = %d for %q", e.Status, raw)
			}
			return
		}
		for name, values := range got.values {
			for _, v := range values {
				if !clean(name) || !clean(v) || v == "" {
					t.Errorf("kept %q=%q", name, v)
				}
			}
		}
		if again, err := parseParameters(got.Encode()); err != nil || again.Encode() != got.Encode() {
			t.Errorf("not stable when kept: %q", raw)
		}
	})
}
