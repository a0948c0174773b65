package clients

import "slices"

// What a client's access tokens are. A JWT (RFC 9068) can be checked and read by
// whoever it is sent to. A reference says nothing to anybody: an API introspects
// it, and so hears at once of its end.
const (
	FormatJWT       = "jwt"
	FormatReference = "reference"
)

// TokenFormats is every format of access tokens; the first is the default.
func TokenFormats() []string { return []string{FormatJWT, FormatReference} }

func checkTokenFormat(d Document) error {
	if !slices.Contains(TokenFormats(), d.AccessTokenFormat) {
		return unsupported("access_token_format", d.AccessTokenFormat, TokenFormats())
	}
	return nil
}
