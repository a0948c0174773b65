package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Publisher is somebody whose software statements count (RFC 7591 §2.3): what
// its signature says of a piece of software holds for every client that brings
// it. It gives a client nothing that the client could not ask for itself.
type Publisher struct {
	Issuer  string          `json:"issuer"`
	JWKS    json.RawMessage `json:"jwks,omitempty"`
	JWKSURI string          `json:"jwks_uri,omitempty"`
}

// LoadPublishers reads the file of trusted publishers. Their keys are looked at
// by New.
func LoadPublishers(file string) ([]Publisher, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read software publishers: %w", err)
	}
	var doc struct {
		Publishers []Publisher `json:"publishers"`
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err = d.Decode(&doc)
	if _, more := d.Token(); err == nil && !errors.Is(more, io.EOF) {
		err = errors.New("it goes on after its end")
	}
	if err == nil && len(doc.Publishers) == 0 {
		err = errors.New("it names nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("software publishers %s: %w", file, err)
	}
	return doc.Publishers, nil
}

func (r rules) checkPublishers(list []Publisher) error {
	for n, p := range list {
		if p.Issuer == "" || readable(p.Issuer, 300) != nil {
			return errors.New("a software publisher has no issuer, or one that cannot be shown")
		}
		if slices.ContainsFunc(list[:n], func(o Publisher) bool { return o.Issuer == p.Issuer }) {
			return fmt.Errorf("the software publisher %s is there twice", p.Issuer)
		}
		if err := r.checkKeySource(p.JWKS, p.JWKSURI); err != nil {
			return fmt.Errorf("of the software publisher %s the %w", p.Issuer, err)
		}
	}
	return nil
}

const (
	statementField = "software_statement"
	maxStatement   = 16 << 10
	statementSkew  = 30 * time.Second
)

// invalidStatement is RFC 7591 §3.2.2 for a statement that does not hold.
func invalidStatement(reason string) error {
	return &ValidationError{Field: statementField, Reason: reason, code: "invalid_software_statement"}
}

// unapprovedStatement is the same for one of somebody whose word does not count.
func unapprovedStatement() error {
	return &ValidationError{Field: statementField, Reason: "is of nobody that is trusted here", code: "unapproved_software_statement"}
}

// withStatement is the document with what its software statement says, which
// counts more than what the document says itself. It may go to the network and
// must not be called with a transaction open.
func (r *Registry) withStatement(ctx context.Context, d Document) (Document, error) {
	if d.SoftwareStatement == "" {
		return d, nil
	}
	payload, err := r.openStatement(ctx, d.SoftwareStatement)
	if err != nil {
		return Document{}, err
	}
	if err := checkStatementTimes(payload, r.issuer, time.Now()); err != nil {
		return Document{}, err
	}
	said, err := knownMembers(payload, true)
	if err != nil {
		return Document{}, invalidStatement("has a member that cannot be read")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(said, &members); err != nil {
		return Document{}, invalidStatement("is not a JSON object")
	}
	return d.overlaid(members)
}

// overlaid is the document with members that replace its own.
func (d Document) overlaid(members map[string]json.RawMessage) (Document, error) {
	whole, err := json.Marshal(d)
	if err != nil {
		return Document{}, fmt.Errorf("encode client metadata: %w", err)
	}
	var merged map[string]json.RawMessage
	if err := json.Unmarshal(whole, &merged); err != nil {
		return Document{}, fmt.Errorf("decode client metadata: %w", err)
	}
	if d.Scope == nil {
		delete(merged, "scope") // none said is not none asked for
	}
	maps.DeleteFunc(merged, func(name string, _ json.RawMessage) bool {
		return isShown(shownName(name)) && says(members, shownName(name))
	})
	for name, value := range members {
		switch {
		case name == statementField:
			return Document{}, invalidStatement("holds another one")
		case string(value) != "null":
			merged[name] = value
		}
	}
	text, err := json.Marshal(merged)
	if err != nil {
		return Document{}, fmt.Errorf("encode client metadata: %w", err)
	}
	var out Document
	if err := json.Unmarshal(text, &out); err != nil {
		return Document{}, invalidStatement("has a member of another type than that member has")
	}
	return out, nil
}

// says reports whether members hold this one in any language. What a publisher
// calls its software, the software does not call otherwise in another language.
func says(members map[string]json.RawMessage, shown string) bool {
	for name, value := range members {
		if shownName(name) == shown && string(value) != "null" {
			return true
		}
	}
	return false
}

// openStatement is the payload of a statement that a trusted publisher signed.
func (r *Registry) openStatement(ctx context.Context, text string) ([]byte, error) {
	if len(text) > maxStatement {
		return nil, invalidStatement("is too long")
	}
	jws, err := jose.ParseSignedCompact(text, statementAlgorithms())
	if err != nil {
		return nil, invalidStatement("is not signed in an algorithm that counts here")
	}
	header := jws.Signatures[0].Protected
	typ, _ := header.ExtraHeaders[jose.HeaderType].(string)
	if header.ExtraHeaders["crit"] != nil || typ != "" && !strings.EqualFold(typ, "JWT") {
		return nil, invalidStatement("says that it is something else, or asks for more than is done here")
	}
	name := statementIssuer(jws.UnsafePayloadWithoutVerification())
	i := slices.IndexFunc(r.publishers, func(p Publisher) bool { return p.Issuer == name })
	if i < 0 {
		return nil, unapprovedStatement()
	}
	keys, err := r.keysAt(ctx, r.publishers[i].JWKS, r.publishers[i].JWKSURI, header.KeyID)
	if err != nil && !errors.Is(err, ErrKeys) {
		return nil, err
	}
	for _, k := range keys {
		if k.Algorithm != "" && k.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := jws.Verify(k.Key); err == nil {
			return payload, nil
		}
	}
	return nil, invalidStatement("is not signed by its issuer")
}

// statementIssuer is who a payload says it is from; empty for nobody.
func statementIssuer(payload []byte) string {
	var said struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(payload, &said) != nil {
		return ""
	}
	return said.Issuer
}

// checkStatementTimes looks at the claims about the statement itself. Unlike an
// assertion it may be good for years, and for every server: software is shipped
// with it.
func checkStatementTimes(payload []byte, issuer string, now time.Time) error {
	var said struct {
		Audience  json.RawMessage `json:"aud"`
		ExpiresAt *float64        `json:"exp"`
		NotBefore *float64        `json:"nbf"`
		IssuedAt  *float64        `json:"iat"`
	}
	if err := json.Unmarshal(payload, &said); err != nil {
		return invalidStatement("has a claim of another type than that claim has")
	}
	at := func(seconds *float64) time.Time { return time.Unix(int64(min(max(*seconds, 0), 1<<40)), 0) }
	switch {
	case said.ExpiresAt != nil && at(said.ExpiresAt).Before(now.Add(-statementSkew)):
		return invalidStatement("has expired")
	case said.NotBefore != nil && at(said.NotBefore).After(now.Add(statementSkew)), said.IssuedAt != nil && at(said.IssuedAt).After(now.Add(statementSkew)):
		return invalidStatement("is not good yet")
	case said.Audience != nil && !slices.Contains(audiences(said.Audience), issuer):
		return invalidStatement("is for somebody else")
	}
	return nil
}

// audiences is aud, a string or a list of them (RFC 7519 §4.1.3).
func audiences(raw json.RawMessage) (list []string) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	_ = json.Unmarshal(raw, &list) // else it is for nobody
	return list
}

// keepsStatement holds a client that was registered with a statement to having
// one: what the statement fixed must not be changed by leaving it out.
func (d Document) keepsStatement(old Client) error {
	if old.SoftwareStatement != "" && d.SoftwareStatement == "" {
		return invalidStatement("is missing: the client was registered with one")
	}
	return nil
}

// publisher is who vouched for the client's software, as the statement that was
// checked then says it.
func (c Client) publisher() string {
	jws, err := jose.ParseSignedCompact(c.SoftwareStatement, statementAlgorithms())
	if err != nil {
		return ""
	}
	return statementIssuer(jws.UnsafePayloadWithoutVerification())
}

func statementAlgorithms() []jose.SignatureAlgorithm {
	algs := make([]jose.SignatureAlgorithm, 0, len(Algorithms()))
	for _, name := range Algorithms() {
		algs = append(algs, jose.SignatureAlgorithm(name))
	}
	return algs
}
