package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
)

// maxClaimsDepth is one more than the claims parameter needs.
const maxClaimsDepth = 8

// claimRequest is one member of the claims parameter (OIDC Core §5.5.1).
type claimRequest struct {
	essential bool
	values    []string // of value and values; what is no string is met by none
}

// claimsRequest is the claims parameter, by the name of the claim. Claims that
// nobody knows ask for nothing.
type claimsRequest struct{ userinfo, idToken map[string]claimRequest }

// object is a JSON object whose names are compared exactly: a struct would take
// Essential for essential, and two spellings for one.
type object map[string]json.RawMessage

var errClaims = errors.New("claims is not a valid claims request")

// parseClaims reads the parameter strictly: a name that occurs twice could be
// read in two ways, and a depth without end is nothing anybody needs.
func parseClaims(text string) (claimsRequest, error) {
	var r claimsRequest
	if text == "" {
		return r, nil
	}
	var top object
	if !unambiguous([]byte(text)) || json.Unmarshal([]byte(text), &top) != nil {
		return r, errClaims
	}
	var err error
	if r.userinfo, err = parseMembers(top["userinfo"]); err != nil {
		return claimsRequest{}, err
	}
	if r.idToken, err = parseMembers(top["id_token"]); err != nil {
		return claimsRequest{}, err
	}
	return r, nil
}

func parseMembers(raw json.RawMessage) (map[string]claimRequest, error) {
	var members map[string]object
	if raw == nil {
		return nil, nil
	}
	if json.Unmarshal(raw, &members) != nil {
		return nil, errClaims
	}
	claims := make(map[string]claimRequest, len(members))
	for name, m := range members {
		c, err := parseClaim(m)
		if err != nil {
			return nil, err
		}
		claims[name] = c
	}
	return claims, nil
}

// parseClaim reads one request; null and {} just ask for the claim.
func parseClaim(m object) (c claimRequest, err error) {
	if raw, ok := m["essential"]; ok && json.Unmarshal(raw, &c.essential) != nil {
		return c, errClaims
	}
	var list []json.RawMessage
	if raw, ok := m["values"]; ok && json.Unmarshal(raw, &list) != nil {
		return c, errClaims
	}
	if raw, ok := m["value"]; ok {
		list = append(list, raw)
	}
	for _, raw := range list {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw)
		}
		c.values = append(c.values, text)
	}
	return c, nil
}

// unambiguous reports whether text is one JSON object, not too deep, with no
// name twice in any object of it.
func unambiguous(text []byte) bool {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	if !uniqueNames(d, 1) {
		return false
	}
	_, err := d.Token()
	return errors.Is(err, io.EOF)
}

// uniqueNames reads the rest of an object.
func uniqueNames(d *json.Decoder, depth int) bool {
	names := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok || names[name] {
			return false
		}
		names[name] = true
		if !uniqueValue(d, depth) {
			return false
		}
	}
	_, err := d.Token()
	return err == nil
}

func uniqueValue(d *json.Decoder, depth int) bool {
	t, err := d.Token()
	if err != nil || depth > maxClaimsDepth {
		return false
	}
	switch t {
	case json.Delim('{'):
		return uniqueNames(d, depth+1)
	case json.Delim('['):
		for d.More() {
			if !uniqueValue(d, depth+1) {
				return false
			}
		}
		_, err = d.Token()
	}
	return err == nil
}

// names lists what one of the two members asks for, in a fixed order.
func names(members map[string]claimRequest, known func(string) bool) []string {
	var list []string
	for name := range members {
		if known(name) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// essentialACR are the levels of which one must be reached, nil if any will do:
// those asked for in the ID token, else those in userinfo.
func (r claimsRequest) essentialACR() []string {
	for _, members := range []map[string]claimRequest{r.idToken, r.userinfo} {
		if c := members["acr"]; c.essential && len(c.values) > 0 {
			return c.values
		}
	}
	return nil
}

// subjects are the values of sub of which one must be the citizen's, nil if any
// will do.
func (r claimsRequest) subjects() []string {
	return append(slices.Clone(r.idToken["sub"].values), r.userinfo["sub"].values...)
}
