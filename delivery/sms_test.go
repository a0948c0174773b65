package delivery

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ente.example/idp/delivery/deliverytest"
)

const smsToken = deliverytest.SMSToken

func textTo(to string) Letter {
	return Letter{ID: delivery1, Key: PINHalf1, Channel: SMS, To: NewRecipient(to), Body: NewText("Ente: prima parte\n" + half + "\nperché no\n")}
}

func TestSMS(t *testing.T) {
	t.Parallel()
	host := deliverytest.NewSMSGateway(t)
	s, err := NewSMSFromURL(host.URL+"/messages", smsToken, Network{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a repetition carries the same id
		if err := s.Send(t.Context(), textTo(number)); err != nil {
			t.Fatal(err)
		}
	}
	want := deliverytest.Text{ID: delivery1, To: number, Text: "Ente: prima parte\n" + half + "\nperché no"}
	if diff := cmp.Diff([]deliverytest.Text{want, want}, host.Texts()); diff != "" {
		t.Errorf("the gateway got (-want +got):\n%s", diff)
	}
}

func TestSMSAnswers(t *testing.T) {
	t.Parallel()
	host := deliverytest.NewSMSGateway(t)
	s, err := NewSMSFromURL(host.URL, smsToken, Network{})
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]string{
		200: "sent", 202: "sent", 204: "sent", 301: "again", 307: "again",
		400: "final", 402: "final", 409: "final", 410: "final", 422: "final",
		401: "again", 403: "again", 404: "again", 405: "again", 408: "again", 425: "again", 429: "again",
		500: "again", 502: "again", 503: "again", 504: "again",
	} {
		host.Answer(status)
		err := s.Send(t.Context(), textTo(number))
		got := "again"
		if err == nil {
			got = "sent"
		} else if errors.Is(err, ErrRejected) {
			got = "final"
		}
		if got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
		if err != nil && (strings.Contains(err.Error(), number) || strings.Contains(err.Error(), half) || strings.Contains(err.Error(), smsToken)) {
			t.Errorf("%d: the error tells too much: %v", status, err)
		}
	}
}

func TestSMSGatewayThatSaysNothing(t *testing.T) {
	t.Parallel()
	s, err := NewSMSFromURL("http://"+deliverytest.Stuck(t).Addr().String()+"/account-4711", smsToken, Network{Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Send(t.Context(), textTo(number))
	if err == nil || errors.Is(err, ErrRejected) || strings.Contains(err.Error(), "4711") {
		t.Errorf("%v, want a time-out that may pass and does not name the address", err)
	}
}

func TestSMSSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, token, want string }{
		{"", smsToken, "IDP_SMS_URL"},
		{"sms.example.org", smsToken, "IDP_SMS_URL"},
		{"http://sms.example.org", smsToken, "https"},
		{"https://user:secret@sms.example.org", smsToken, "IDP_SMS_URL"},
		{"https://sms.example.org", "", "IDP_SMS_TOKEN"},
		{"https://sms.example.org", "secret", "IDP_SMS_TOKEN"},
		{"https://sms.example.org", "secret secret secret", "IDP_SMS_TOKEN"},
	} {
		_, err := NewSMSFromURL(c.url, c.token, Network{})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s with %q: %v, want one line about %s", c.url, c.token, err, c.want)
		}
	}
}

func TestSMSReport(t *testing.T) {
	t.Parallel()
	reports, err := NewSMSReports(smsToken)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	body := `{"id":"` + delivery1 + `","status":"delivered"}`
	good := deliverytest.Signature(smsToken, now, body)
	other := deliverytest.Signature("another token of 16", now, body)
	for _, c := range []struct {
		name, header, body string
		now                time.Time
		want               error
	}{
		{"right", good, body, now, nil},
		{"four minutes later", good, body, now.Add(4 * time.Minute), nil},
		{"a clock ahead", good, body, now.Add(-4 * time.Minute), nil},
		{"six minutes later", good, body, now.Add(6 * time.Minute), ErrReportSignature},
		{"from the future", good, body, now.Add(-6 * time.Minute), ErrReportSignature},
		{"another token", other, body, now, ErrReportSignature},
		{"while tokens change", good + "," + other[strings.Index(other, "v1="):], body, now, nil},
		{"another body", good, strings.Replace(body, "delivered", "failed", 1), now, ErrReportSignature},
		{"another time", strings.Replace(good, "t=18", "t=19", 1), body, now, ErrReportSignature},
		{"no signature", "", body, now, ErrReportSignature},
		{"no time", good[strings.Index(good, "v1="):], body, now, ErrReportSignature},
		{"two times", good + ",t=1800000001", body, now, ErrReportSignature},
		{"no mac", "t=1800000000", body, now, ErrReportSignature},
		{"empty mac", "t=1800000000,v1=", body, now, ErrReportSignature},
		{"not hex", "t=1800000000,v1=zz", body, now, ErrReportSignature},
		{"too many", good + strings.Repeat(",v1=00", 9), body, now, ErrReportSignature},
		{"not JSON", deliverytest.Signature(smsToken, now, "hello"), "hello", now, ErrReportForm},
		{"another status", deliverytest.Signature(smsToken, now, `{"id":"x","status":"posted"}`), `{"id":"x","status":"posted"}`, now, ErrReportForm},
	} {
		got, err := reports.VerifyReport(c.header, []byte(c.body), c.now)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if want := (Report{Delivery: delivery1, Channel: SMS, Result: SMSDelivered}); c.want == nil && got != want {
			t.Errorf("%s: %+v, want %+v", c.name, got, want)
		}
	}
}

func FuzzSMSReport(f *testing.F) {
	reports, err := NewSMSReports(smsToken)
	if err != nil {
		f.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	f.Add(deliverytest.Signature(smsToken, now, "{}"), []byte("{}"))
	f.Add("t=1,v1=00,v1=", []byte(`{"id":1}`))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		// nobody but the gateway can make a signature, so nothing else passes
		if r, err := reports.VerifyReport(header, body, now); err == nil && !strings.Contains(header, deliverytest.Signature(smsToken, now, string(body))[13:]) {
			t.Errorf("believed %q %q: %+v", header, body, r)
		}
	})
}
