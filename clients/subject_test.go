package clients

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
)

// encoded is a name as a certificate has it.
func encoded(t testing.TB, name pkix.RDNSequence) []byte {
	t.Helper()
	raw, err := asn1.Marshal(name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func part(kind asn1.ObjectIdentifier, value string) pkix.AttributeTypeAndValue {
	return pkix.AttributeTypeAndValue{Type: kind, Value: value}
}

// RFC 4514: one name, in the many ways it can be written, and its neighbours.
func TestSubjects(t *testing.T) {
	t.Parallel()
	cn, o, c, ou := asn1.ObjectIdentifier{2, 5, 4, 3}, asn1.ObjectIdentifier{2, 5, 4, 10}, asn1.ObjectIdentifier{2, 5, 4, 6}, asn1.ObjectIdentifier{2, 5, 4, 11}
	raw := encoded(t, pkix.RDNSequence{{part(c, "IT")}, {part(o, "Ente, S.p.A.")}, {part(cn, " à #1 "), part(ou, `a+b="c"\`)}})
	got, err := subjectOf(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, same := range []string{
		`CN=\ à #1\ +OU=a\+b\=\"c\"\\,O=Ente\, S.p.A.,C=IT`,
		`OU=a\+b=\"c\"\5c + cn=\20\c3\a0 #1\20 , o=Ente\2c S.p.A. ,c = IT`,
		`2.5.4.11=a\2bb=\"c\"\\+2.5.4.3=\ à #1\ ,2.5.4.10=Ente\, S.p.A.,2.5.4.6=#13024954`,
	} {
		want, err := parseSubject(same)
		if err != nil || !sameSubject(want, got) {
			t.Errorf("%s = %q, %v, want %q", same, want, err, got)
		}
	}
	for _, other := range []string{
		`C=IT,O=Ente\, S.p.A.,CN=\ à #1\ +OU=a\+b=\"c\"\\`, `CN=\ à #1\ ,OU=a\+b=\"c\"\\,O=Ente\, S.p.A.,C=IT`,
		`CN=\ à #1+OU=a\+b=\"c\"\\,O=Ente\, S.p.A.,C=IT`, `CN=\ à #1\ +OU=a\+b=\"c\"\\,O=ente\, s.p.a.,C=IT`, `O=Ente\, S.p.A.,C=IT`, `C=IT`,
	} {
		want, err := parseSubject(other)
		if err != nil || sameSubject(want, got) {
			t.Errorf("%s = %q, %v, which must be another than %q", other, want, err, got)
		}
	}
	for _, wrong := range []string{
		"", "Ente", "CN=", "CN=a,", "CN=a+", "=a", "X=a", "CN=a;O=b", `CN="a"`, `CN=a\`, `CN=a\zz`, "CN=#zz", "CN=#1302", "CN=#0500", "CN=a\x00", "CN=\xff", `CN=\ff`, "CN=<a>",
	} {
		if name, err := parseSubject(wrong); err == nil {
			t.Errorf("%q = %q, want it refused", wrong, name)
		}
	}
	if _, err := subjectOf([]byte("x")); err == nil {
		t.Error("a subject that is no sequence was read")
	}
}

// FuzzSubject: what is read as a name has no empty part, and is itself.
func FuzzSubject(f *testing.F) {
	f.Add(`CN=\ à #1\ +OU=a\+b\=\"c\"\\,O=Ente\, S.p.A.,C=IT`)
	f.Add("2.5.4.6=#13024954")
	f.Add("CN=a , O = b")
	f.Fuzz(func(t *testing.T, text string) {
		name, err := parseSubject(text)
		if err != nil {
			return
		}
		for _, part := range name {
			for _, a := range part {
				if a.kind == "" || a.value == "" || len(part) == 0 {
					t.Fatalf("%q = %q", text, name)
				}
			}
		}
		again, err := parseSubject(text)
		if err != nil || !sameSubject(name, again) {
			t.Fatalf("%q = %q, then %q, %v", text, name, again, err)
		}
	})
}
