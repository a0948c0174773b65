package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// prompt=create leads to the request for a first PIN, which knows the sign-in:
// there is a way back to it, and it does not lead round in a circle.
func TestAServiceSendsSomebodyToAskForAPIN(t *testing.T) {
	each(t, func(h *house) {
		h.open(nil).people()
		v := newVisitor(h.t)
		q := url.Values{
			"client_id": {h.client.ID}, "redirect_uri": h.client.RedirectURIs[:1], "response_type": {"code"}, "scope": {"openid"}, "state": {"s"},
			"code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"}, "prompt": {"create"},
		}
		v.open(h.settings.Issuer + "/authorize?" + q.Encode()).on("pin-request")
		id := v.at.Query().Get("sign_in")
		if id == "" || v.at.Path != "/pin/request" || v.code != http.StatusOK {
			h.t.Fatalf("at %s, want the request for a PIN with the sign-in", v.at)
		}
		v.open(h.settings.Issuer + "/pin?sign_in=" + id).on("pin-home")
		if !strings.Contains(v.body, `href="/authorize/`+id+`"`) {
			h.t.Error("there is no way back to the sign-in")
		}
		v.open(h.settings.Issuer + "/authorize/" + id).on("login")
	})
}
