package provider

import (
	"encoding/base64"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/prf"

	"ente.example/idp/citizens"
	"ente.example/idp/clients"
)

// subject is the sub under which a client knows a citizen: the same within a
// sector, unrelated in the next, and never the codice fiscale. Clients that
// registered for public subjects share one sector of their own.
func (p *Provider) subject(c clients.Client, id citizens.ID) string {
	sector := "sector\x00" + c.SectorID()
	if c.SubjectType == clients.SubjectPublic {
		sector = "public"
	}
	sub, err := computeSubject(p.subjectKey, sector, id)
	if err != nil {
		return "" // New has tried the key: no token is issued to an empty subject
	}
	return sub
}

func computeSubject(key *prf.Set, sector string, id citizens.ID) (string, error) {
	out, err := key.ComputePrimaryPRF([]byte("sub/v1\x00"+sector+"\x00"+string(id)), 32)
	if err != nil {
		return "", fmt.Errorf("compute subject: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(out), nil
}
