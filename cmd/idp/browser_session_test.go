//go:build browser

package main

import (
	"fmt"
	"net/url"
	"testing"
)

// frameAsked holds the provider's frame in the page, asks it, and gives its answer.
// A page asks often: the frame that is there is asked again.
const frameAsked = `(async (address, message) => {
	let frame = document.querySelector('iframe');
	if (!frame) {
		frame = document.createElement('iframe');
		frame.src = address;
		const loaded = new Promise(done => frame.onload = done);
		document.body.append(frame);
		await loaded;
	}
	const answer = new Promise(done => addEventListener('message', e => done(e.origin + ' ' + e.data), { once: true }));
	frame.contentWindow.postMessage(message, new URL(address).origin);
	return answer;
})(%q, %q)`

// polls fails unless the provider's frame in this page gives that answer.
func (p *person) polls(h *house, message, want string) *person {
	p.t.Helper()
	got := p.ask(fmt.Sprintf(frameAsked, h.settings.Issuer+"/session/check", message))
	if got != h.settings.Issuer+" "+want {
		p.t.Errorf("the frame answers %q to %q, want %s", got, message, want)
	}
	return p
}

// OpenID Connect Session Management 1.0, in a page on another site than the
// provider's: it learns of a sign-in and a sign-out without a request. Chromium
// has to be told to give frames of other sites their cookies.
func testCheckSession(t *testing.T, b chromium) {
	h := browserHouse(t, nil)
	pin := h.activePIN(regular)
	s := h.partner(trusted)
	message := func(p *person) string { return s.client.ID + " " + p.text("#session_state") }

	willing := startChromium(t, `{"profile": {"cookie_controls_mode": 0}}`)
	p := newPerson(t, willing).open(s.request(nil)).signIn(regular, pin).on("partner")
	first := message(p)
	p.polls(h, first, "unchanged").polls(h, "other"+first, "changed")
	for _, wrong := range []string{"", s.client.ID, first + " ", first + "x", " " + first} {
		p.polls(h, wrong, "error")
	}
	p.tab().open(s.address+"/").polls(h, first, "unchanged")

	again := p.tab().open(s.request(url.Values{"prompt": {"login"}})).signIn(regular, pin).on("partner")
	second := message(again)
	p.polls(h, first, "changed").polls(h, second, "unchanged")
	again.open(h.settings.Issuer + "/sign-out").press(signOut).on("signed-out")
	p.polls(h, second, "changed")
	again.open(s.request(url.Values{"prompt": {"none"}})).on("partner")
	p.polls(h, message(again), "unchanged")

	// as it comes, it gives them none: then the frame does not know, and says so
	hidden := newPerson(t, b).open(s.request(nil)).signIn(regular, pin).on("partner")
	hidden.polls(h, message(hidden), "error")
}
