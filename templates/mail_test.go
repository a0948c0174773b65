package templates

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sent is every message that is sent so far, by its channels.
func sent() map[string][]string {
	notices, written := []string{"sms", "email", "pec"}, []string{"email", "pec"}
	return map[string][]string{
		"pin-half-1": {"sms", "email", "pec"}, "pin-half-2": {"post"},
		"notice-pin-activated": notices, "notice-pin-changed": notices, "notice-locked": notices,
		"notice-pin-suspended": notices, "notice-pin-resumed": notices, "notice-pin-revoked": notices,
		"notice-pin-issued": notices, "notice-pin-expired": notices, "notice-pin-due": notices, "notice-pin-first-due": notices,
		"notice-pin-inactive": notices, "notice-pin-dismissal": notices, "notice-pin-dismissed": notices, "notice-pin-kept": notices,
		"pin-half-1.recovery": notices, "pin-half-2.recovery": written, "recovery-code": written, "revocation-code": written,
		"notice-recovery-started": notices, "notice-recovery-confirmed": notices, "notice-recovery-cancelled": notices,
		"notice-recovery-failed": notices, "notice-recovery-lost": notices, "notice-recovery-first-pin": notices, "notice-recovery-no-pin": notices,
		"notice-recovery-excluded": notices, "notice-recovery-suspended": notices,
		"contact-code": notices, "notice-request-made": notices, "notice-request-open": notices, "notice-request-has-pin": notices,
		"notice-request-excluded": notices, "notice-request-minor": notices, "notice-request-ended": notices, "notice-no-pec": written,
		"contact-code.change": {"sms", "pec"}, "contact-code.change-link": {"email"}, "notice-contact-proved": notices,
		"notice-contact-effective": notices, "notice-contact-removal": notices, "notice-contact-removed": notices,
		"notice-contact-withdrawn": notices, "notice-contact-contested": notices, "notice-contact-not-pec": notices,
		"withdrawal-code": notices, "notice-request-cancelled": notices, "notice-request-withdrawn": notices,
		"notice-revocation-started": notices, "notice-revocation-no-pin": notices, "notice-revocation-guessing": notices,
	}
}

func TestMail(t *testing.T) {
	t.Parallel()
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, l := range shipped() {
		for key, channels := range sent() {
			for _, channel := range channels {
				subject, body, err := s.Mail(l.Tag, key, channel, map[string]string{
					"Name": "Mario <Rossi>", "Half": "48271936", "Code": "48271936", "Report": "48271936", "Link": "http://localhost:8080/pin?t=x",
					"Tracking": "ABCD-EFGH-JKMN", "Since": "18/11/2026", "Until": "21/11/2026 10:30", "Contact": "a***@p***.example",
					"Date": "18/11/2026", "Days": "60", "When": "18/11/2026, 10:32",
				})
				if err != nil {
					t.Fatal(err)
				}
				if subject == "" || strings.Contains(subject, "4827") {
					t.Errorf("%s %s %s: subject %q", l.Tag, key, channel, subject)
				}
				// these go to an address that somebody has typed: nobody's name goes there
				nameless := []string{"withdrawal-code", "notice-request-ended", "notice-request-cancelled", "notice-no-pec"}
				if (strings.HasPrefix(key, "contact-code") || slices.Contains(nameless, key)) && channel != "sms" {
					body += "Mario <Rossi>"
				}
				checkBody(t, l.Tag+" "+key+" "+channel, channel, body)
				if strings.Contains(body, "4827") && !slices.Contains(strings.Split(body, "\n"), "48271936") {
					t.Errorf("%s %s %s: the code does not stand alone: %s", l.Tag, key, channel, body)
				}
				if strings.HasPrefix(key, "pin-half") {
					checkHalf(t, l.Tag+" "+key+" "+channel, key, body)
				}
				form := "written"
				if channel == "sms" {
					form = "sms"
				}
				said["mail."+key+"."+form] = true
			}
		}
	}
	for key := range catalogue(t, fallback) {
		base := strings.TrimSuffix(strings.TrimSuffix(key, ".body"), ".subject")
		if strings.HasPrefix(key, "mail.") && !said[base] {
			t.Errorf("nobody sends %s", key)
		}
	}
}

func checkBody(t *testing.T, name, channel, body string) {
	t.Helper()
	if channel != "sms" {
		if !strings.Contains(body, "Mario <Rossi>") {
			t.Errorf("%s: the name is not there as it is: %s", name, body)
		}
		return
	}
	// R: text messages have no links, and nothing that costs a wider alphabet.
	if regexp.MustCompile(`(?i)https?:|www\.|\.example`).MatchString(body) {
		t.Errorf("%s has a link: %s", name, body)
	}
	if odd := regexp.MustCompile(`[^A-Za-z0-9 \n.,:;?()'+èéùìòà/-]`).FindString(body); odd != "" {
		t.Errorf("%s holds %q, which GSM 03.38 does not know", name, odd)
	}
}

// The half stands alone on its line, without spaces, and its own part is named
// before any mention of the other.
func checkHalf(t *testing.T, name, key, body string) {
	t.Helper()
	if !slices.Contains(strings.Split(body, "\n"), "48271936") {
		t.Errorf("%s: no line of its own for the half: %s", name, body)
	}
	own, other := "prima parte", "seconda parte"
	if strings.HasPrefix(key, "pin-half-2") {
		own, other = other, own
	}
	at, otherAt := strings.Index(body, own), strings.Index(body, other)
	if at < 0 || otherAt >= 0 && otherAt < at {
		t.Errorf("%s: %q at %d, %q at %d", name, own, at, other, otherAt)
	}
}

func TestMailRefusesWhatItCannotSay(t *testing.T) {
	t.Parallel()
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Mail("it", "pin-half-1", "email", map[string]string{"Name": "Mario"}); err == nil {
		t.Error("a message without its half was written")
	}
	if _, _, err := s.Mail("it", "nothing", "email", nil); err == nil {
		t.Error("a message nobody knows was written")
	}
	subject, _, err := s.Mail("xx", "notice-locked", "email", map[string]string{"Name": "Mario", "When": "18/11/2026, 10:32", "Link": "http://localhost:8080/pin?t=x"})
	if err != nil || subject != "Troppi tentativi con il tuo PIN" {
		t.Errorf("a language nobody ships: %q, %v", subject, err)
	}
}
