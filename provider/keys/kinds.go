package keys

import "slices"

// The algorithms that this provider signs with. Each has its own key, so that
// the key alone decides the algorithm a signature is checked with.
const (
	ES256 = "ES256" // access tokens, and the ID tokens of clients that ask for it
	RS256 = "RS256" // the default of id_token_signed_response_alg
	PS256 = "PS256"
	EdDSA = "EdDSA"
)

// How others encrypt what is for this provider alone. The key for ECDH-ES opens
// what was made with ECDH-ES+A256KW too, so it is published without a name.
const (
	RSAOAEP = "RSA-OAEP-256"
	ECDHES  = "ECDH-ES"
)

// What a key is for (RFC 7517 §4.2). None is for both.
const (
	useSignature  = "sig"
	useEncryption = "enc"
)

// Algorithms lists what there is a key to sign with.
func Algorithms() []string { return []string{RS256, PS256, ES256, EdDSA} }

// Encryptions lists what there is a key to decrypt with.
func Encryptions() []string { return []string{RSAOAEP, ECDHES} }

// Kinds lists all that there is a key for, one each.
func Kinds() []string { return slices.Concat(Algorithms(), Encryptions()) }

func useOf(alg string) string {
	if slices.Contains(Encryptions(), alg) {
		return useEncryption
	}
	return useSignature
}

// namedAlg is what a published key says that it is for.
func namedAlg(alg string) string {
	if alg == ECDHES {
		return ""
	}
	return alg
}
