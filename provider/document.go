package provider

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// document is an answer made, with its headers, before anybody asks for it. The
// headers' values are shared by all answers.
type document struct {
	body   []byte
	maxAge time.Duration

	kind, etag, length, caching []string
}

func documentOf(contentType string, body []byte, maxAge time.Duration) *document {
	sum := sha256.Sum256(body)
	return &document{
		body: body, maxAge: maxAge, kind: []string{contentType}, length: []string{strconv.Itoa(len(body))},
		etag:    []string{`"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`},
		caching: []string{fmt.Sprintf("public, max-age=%d", int(maxAge.Seconds()))},
	}
}

// serve answers GET and HEAD, and 304 to who has it already.
func (d *document) serve(c echo.Context) error {
	h := c.Response().Header()
	delete(h, echo.HeaderXRequestID) // whose request it was that caches keep the answer to is nobody's business
	h["Cache-Control"], h["Etag"] = d.caching, d.etag
	if known(c.Request().Header.Get("If-None-Match"), d.etag[0]) {
		return c.NoContent(http.StatusNotModified)
	}
	h["Content-Type"], h["Content-Length"] = d.kind, d.length
	return c.Blob(http.StatusOK, d.kind[0], d.body)
}

// known reads If-None-Match: a list of tags, weak ones included, or *.
func known(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == etag || tag == "*" {
			return true
		}
	}
	return false
}
