package provider

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/prf"

	"ente.example/idp/clients"
	"ente.example/idp/secrets"
)

func refreshKeys(t testing.TB) *prf.Set {
	t.Helper()
	ring, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	return ring.PRF(secrets.Refresh)
}

func reveal(t testing.TB, keys *prf.Set, r refreshToken) string {
	t.Helper()
	token, err := r.reveal(keys)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestRefreshTokenComesBack(t *testing.T) {
	t.Parallel()
	keys := refreshKeys(t)
	first := newRefreshToken(keys, newGrantID())
	got, ok := openRefreshToken(keys, reveal(t, keys, first))
	if !ok || got != first {
		t.Error("a token does not come back as it was")
	}
}

func TestRefreshTokenHasOneSuccessor(t *testing.T) {
	t.Parallel()
	keys := refreshKeys(t)
	first := newRefreshToken(keys, newGrantID())
	a, errA := first.next(keys)
	b, errB := first.next(keys)
	if errA != nil || errB != nil || a != b {
		t.Errorf("two successors, or none: %v, %v", errA, errB)
	}
	if a.generation != 2 || a.grant != first.grant || a.secret == first.secret {
		t.Errorf("the successor is generation %d", a.generation)
	}
	other := first
	other.grant = newGrantID()
	if c, err := other.next(keys); err != nil || c.secret == a.secret {
		t.Errorf("families share secrets: %v", err)
	}
}

func TestRefreshTokenRefusesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	keys := refreshKeys(t)
	good := reveal(t, keys, newRefreshToken(keys, newGrantID()))
	bad := map[string]string{
		"nothing": "", "prefix alone": refreshPrefix, "no prefix": good[3:], "cut": good[:len(good)-1], "longer": good + "A",
		"other alphabet": refreshPrefix + strings.Repeat("+", len(good)-3), "newline": good + "\n",
	}
	for i := 3; i < len(good); i += 7 {
		b := []byte(good)
		b[i] = map[bool]byte{true: 'B', false: 'A'}[b[i] == 'A']
		bad[fmt.Sprintf("changed at %d", i)] = string(b)
	}
	for name, token := range bad {
		if _, ok := openRefreshToken(keys, token); ok {
			t.Errorf("%s: accepted", name)
		}
	}
	theirs := refreshKeys(t)
	if _, ok := openRefreshToken(keys, reveal(t, theirs, newRefreshToken(theirs, newGrantID()))); ok {
		t.Error("a token of another installation is accepted")
	}
}

func TestRefreshTokenNeverPrints(t *testing.T) {
	t.Parallel()
	keys := refreshKeys(t)
	r := newRefreshToken(keys, newGrantID())
	secret := reveal(t, keys, r)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		got := fmt.Sprintf(format, r)
		if got != "[refresh token]" || strings.Contains(got, secret) {
			t.Errorf("%s prints %q", format, got)
		}
	}
}

func FuzzOpenRefreshToken(f *testing.F) {
	keys := refreshKeys(f)
	f.Add(reveal(f, keys, newRefreshToken(keys, newGrantID())))
	f.Fuzz(func(t *testing.T, token string) {
		if r, ok := openRefreshToken(keys, token); ok && reveal(t, keys, r) != token {
			t.Errorf("%q is another spelling of a token", token)
		}
	})
}

// A client of the FAPI profile keeps its token: there is nothing to rotate.
func TestFAPIClientKeepsItsRefreshToken(t *testing.T) {
	t.Parallel()
	keys := refreshKeys(t)
	presented := newRefreshToken(keys, newGrantID())
	u := &unit{presented: presented, client: clients.Client{Profile: clients.ProfileFAPI2}}
	s := storage{provider: &Provider{refreshKey: keys}}
	got, _, err := s.GenerateRefreshToken(withUnit(t.Context(), u), nil)
	if err != nil || got != reveal(t, keys, presented) || *u.successor != presented {
		t.Errorf("another refresh token, or none: %v", err)
	}
}
