package templates

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Colours are what an institution may change of the looks, each #rrggbb; an empty
// one stays as it is.
type Colours struct {
	Brand  string `json:"brand"`        // header, primary button, links
	Strong string `json:"brand_strong"` // slim header, hover
	Deep   string `json:"brand_deep"`   // footer
	Tint   string `json:"brand_tint"`   // band of the service, boxes
}

// readable is the contrast that text needs, WCAG 1.4.3.
const readable = 4.5

// check refuses colours that people could not read text in.
func (c Colours) check() error {
	tint := c.Tint
	if tint == "" {
		tint = "#f2f7fc"
	}
	for _, pair := range []struct{ name, text, paper string }{
		{"brand on white", c.Brand, "#ffffff"},
		{"brand on brand_tint", c.Brand, tint},
		{"white on brand_strong", c.Strong, "#ffffff"},
		{"white on brand_deep", c.Deep, "#ffffff"},
		{"text on brand_tint", "#455a6f", tint},
	} {
		if pair.text == "" {
			continue
		}
		got, err := contrast(pair.text, pair.paper)
		if err != nil {
			return err
		}
		if got < readable {
			return fmt.Errorf("colours: %s has a contrast of %.1f, text needs %.1f", pair.name, got, readable)
		}
	}
	return nil
}

// sheet is a stylesheet of a few lines that goes after the built one.
func (c Colours) sheet() (name string, a Asset, ok bool) {
	var rules strings.Builder
	for _, token := range []struct{ name, value string }{
		{"--idp-brand", c.Brand}, {"--idp-brand-strong", c.Strong},
		{"--idp-brand-deep", c.Deep}, {"--idp-brand-tint", c.Tint},
	} {
		if token.value != "" {
			fmt.Fprintf(&rules, "%s:%s;", token.name, token.value)
		}
	}
	if rules.Len() == 0 {
		return "", Asset{}, false
	}
	body := []byte(":root{" + rules.String() + "}")
	sum := sha256.Sum256(body)
	return "brand-" + hex.EncodeToString(sum[:6]) + ".css", Asset{Type: mediaType(".css"), Body: body}, true
}

// contrast is the ratio of WCAG 2.1 between two colours.
func contrast(a, b string) (float64, error) {
	la, err := luminance(a)
	if err != nil {
		return 0, err
	}
	lb, err := luminance(b)
	if err != nil {
		return 0, err
	}
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05), nil
}

func luminance(colour string) (float64, error) {
	digits, ok := strings.CutPrefix(colour, "#")
	rgb, err := strconv.ParseUint(digits, 16, 32)
	if !ok || len(digits) != 6 || err != nil {
		return 0, fmt.Errorf("colours: %q is not #rrggbb", colour)
	}
	linear := func(shift uint) float64 {
		v := float64(rgb>>shift&0xff) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(16) + 0.7152*linear(8) + 0.0722*linear(0), nil
}
