package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-jose/go-jose/v4"

	"ente.example/idp/clients"
)

// nested is the cty of what is encrypted after it was signed (RFC 7519 §5.2).
const nested = "JWT"

// encrypted is a token for the client's eyes alone: encrypted to a key of its
// own, if it wants that. A key that cannot be had is the client's fault, and
// nothing is sent in the clear instead.
func (p *Provider) encrypted(ctx context.Context, client clients.Client, how clients.Encryption, content string, kind jose.ContentType) (string, error) {
	if how.IsZero() {
		return content, nil
	}
	key, err := p.clients.EncryptionKey(ctx, client, how.Alg)
	if errors.Is(err, clients.ErrKeys) {
		e := oauthError(codeInvalidRequest, "the client's key to encrypt to cannot be read", http.StatusBadRequest)
		e.cause = err
		return "", e
	}
	if err != nil {
		return "", err
	}
	key.Algorithm = how.Alg
	options := &jose.EncrypterOptions{}
	if kind != "" {
		options = options.WithContentType(kind)
	}
	encrypter, err := jose.NewEncrypter(jose.ContentEncryption(how.Enc), jose.Recipient{Algorithm: jose.KeyAlgorithm(how.Alg), Key: key.Key, KeyID: key.KeyID}, options)
	if err != nil {
		return "", fmt.Errorf("encrypt token: %w", err)
	}
	jwe, err := encrypter.Encrypt([]byte(content))
	if err != nil {
		return "", fmt.Errorf("encrypt token: %w", err)
	}
	return jwe.CompactSerialize()
}

// keyEncryptions and contentEncryptions are how a client may encrypt to us.
func keyEncryptions() (algs []jose.KeyAlgorithm) {
	for _, name := range clients.KeyEncryptions() {
		algs = append(algs, jose.KeyAlgorithm(name))
	}
	return algs
}

func contentEncryptions() (encs []jose.ContentEncryption) {
	for _, name := range clients.ContentEncryptions() {
		encs = append(encs, jose.ContentEncryption(name))
	}
	return encs
}
