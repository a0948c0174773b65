package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"ente.example/idp/templates"
)

// Contract §2: any positive value on a loopback issuer, the range elsewhere.
func TestPolicyRanges(t *testing.T) {
	t.Parallel()
	s := bare(t)
	public := s.with("IDP_ISSUER", "https://login.ente.example")
	for _, q := range defaultPolicy().parameters() {
		least, most := q.least.String(), q.most.String()
		if q.duration == nil {
			least, most = itoa(q.least), itoa(q.most)
		}
		for _, c := range []struct {
			value    string
			loopback bool // taken for a loopback issuer
			public   bool
		}{{least, true, true}, {most, true, true}, {below(q), below(q) != "0", false}, {above(q), true, false}, {zero(q), false, false}, {"-" + least, false, false}} {
			file := s.file("policy.json", `{"`+q.key+`": "`+c.value+`"`+fitting(q.key)+`}`)
			for name, one := range map[string]struct {
				s    *terminal
				want bool
			}{"loopback": {s, c.loopback}, "public": {public, c.public}} {
				o := one.s.run("policy", "show", "--policy-file", file)
				if got := o.code == exitDone; got != one.want {
					t.Errorf("%s = %s, %s issuer: exit %d, %s", q.key, c.value, name, o.code, o.err)
				}
				if o.code != exitDone {
					oneLine(t, o.err, q.key)
				}
			}
		}
	}
}

// fitting sets what must go along with an extreme of another parameter.
func fitting(key string) string {
	switch key {
	case "session.absolute":
		return `, "session.idle": "1m"`
	case "session.idle":
		return `, "session.absolute": "24h"`
	}
	return ""
}

func itoa(n time.Duration) string { return strconv.Itoa(int(n)) }

func below(q parameter) string {
	if q.duration == nil {
		return itoa(q.least - 1)
	}
	return (q.least - time.Millisecond).String()
}

func above(q parameter) string {
	if q.duration == nil {
		return itoa(q.most + 1)
	}
	return (q.most + time.Millisecond).String()
}

func zero(q parameter) string {
	if q.duration == nil {
		return "0"
	}
	return "0s"
}

func TestPolicyFile(t *testing.T) {
	t.Parallel()
	s := bare(t)
	for content, want := range map[string]string{
		`{"lock.nonsense": 1}`: "lock.nonsense", `{"lock.wait": "soon"}`: "lock.wait", `{"lock.wait": 5}`: "lock.wait", `{"lock.threshold": "ten"}`: "lock.threshold",
		`{"lock.threshold": 10.5}`: "lock.threshold", `{"lock.threshold": null}`: "lock.threshold", `[]`: "JSON object", `{`: "JSON object", `{} {}`: "JSON object",
		`{"lock.wait": "9999999999d"}`: "lock.wait", `{"hash.memory_kib": 4294967360}`: "hash.memory_kib", `{"session.idle": "9h"}`: "session.idle",
	} {
		s.refuses([]string{want}, "policy", "show", "--policy-file", s.file("policy.json", content))
	}
}

// Contract §1: policy show names every parameter in force and where it comes from.
func TestPolicyShow(t *testing.T) {
	t.Parallel()
	s := bare(t)
	file := s.file("policy.json", `{"lock.wait": "7m", "pin.validity.enrolment": "30d", "lock.threshold": 5, "pin.inactive.intermediary": "off"}`)
	shown := map[string]map[string]any{}
	for _, line := range s.list("policy", "show", "--policy-file", file) {
		shown[line["key"].(string)] = line
	}
	if len(shown) != len(defaultPolicy().parameters()) {
		t.Errorf("%d parameters are shown, want %d", len(shown), len(defaultPolicy().parameters()))
	}
	for key, want := range map[string]struct {
		value  any
		origin string
	}{
		"lock.wait": {"7m0s", file}, "lock.threshold": {5.0, file}, "pin.validity.enrolment": {"720h0m0s", file}, "session.idle": {"30m0s", "built-in"},
		"session.absolute": {"8h0m0s", "built-in"}, "token.access": {"10m0s", "built-in"}, "token.code": {"1m0s", "built-in"},
		"token.refresh_grace": {"30s", "built-in"}, "clients.secret_overlap": {"24h0m0s", "built-in"}, "hash.memory_kib": {47104.0, "built-in"},
		"drain.delay": {"5s", "built-in"}, "pin.change.months": {6.0, "built-in"}, "pin.change.months_intermediary": {3.0, "built-in"},
		"pin.inactive.citizen": {"off", "built-in"}, "pin.inactive.intermediary": {"off", file}, "pin.dismissal.notice": {"1440h0m0s", "built-in"},
	} {
		if got := shown[key]; got["value"] != want.value || got["origin"] != want.origin || got["rule"] == "" {
			t.Errorf("%s = %v, want %v from %s", key, got, want.value, want.origin)
		}
	}
	if out := s.done("policy", "show"); strings.Count(out, "\n") != len(shown) || !strings.Contains(out, "lock.wait") {
		t.Errorf("policy show = %q", out)
	}
}

// Contract §1: policy measure says what a hash costs; it changes nothing.
func TestPolicyMeasure(t *testing.T) {
	t.Parallel()
	list := bare(t).list("policy", "measure")
	if len(list) == 0 || list[0]["memory_kib"] != 47104.0 {
		t.Fatalf("policy measure = %v, want the floor first", list)
	}
	for _, line := range list {
		if line["milliseconds"].(float64) <= 0 {
			t.Errorf("%v takes no time", line)
		}
	}
}

// What policy show prints is a policy file's way to write it.
func TestPolicyShownIsPolicyRead(t *testing.T) {
	t.Parallel()
	for _, q := range defaultPolicy().parameters() {
		if err := q.set(fmt.Sprint(q.value()), false); err != nil {
			t.Errorf("%s: the built-in %v is refused: %v", q.key, q.value(), err)
		}
	}
}

// What pages say of a code is what the policy in force says.
func TestPolicyIsTold(t *testing.T) {
	t.Parallel()
	s := bare(t)
	p, err := loadPolicy(settings{Issuer: "https://login.ente.example", PolicyFile: s.file("policy.json", `{"recovery.code": "30m", "revocation.code": "2d",
		"procedure.tries": 4, "request.code": "1h", "request.code_tries": 7, "contacts.code_tries": 8, "request.per_day": 2}`)})
	if err != nil {
		t.Fatal(err)
	}
	want := templates.Figures{
		RecoveryCode: 30 * time.Minute, RevocationCode: 48 * time.Hour, ProcedureTries: 4, RequestCode: time.Hour, RequestTries: 7, ContactTries: 8, RequestsPerDay: 2,
	}
	if got := p.told(); got != want {
		t.Errorf("told %+v, want %+v", got, want)
	}
}
