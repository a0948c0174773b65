package driver

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Every node is asked in turn, under the issuer's name, and who follows a
// redirect goes on at the issuer.
func TestSpread(t *testing.T) {
	t.Parallel()
	const issuer = "accesso.ente.example"
	asked := map[string]int{}
	node := func(name string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Host != issuer {
				t.Errorf("asked as %s, want %s", r.Host, issuer)
			}
			asked[name]++ // one after another
			http.Redirect(w, r, "/next", http.StatusSeeOther)
		}))
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	c := http.Client{
		Transport:     &spread{Transport: &http.Transport{}, nodes: []string{node("first"), node("second")}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(c.CloseIdleConnections)
	for range 6 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+issuer+"/authorize", nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if to, err := a.Location(); err != nil || to.Host != issuer {
			t.Errorf("redirected to %v %v, want %s", to, err, issuer)
		}
	}
	if asked["first"] != 3 || asked["second"] != 3 {
		t.Errorf("asked %v, want three times each", asked)
	}
}
