package throttle

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/prf"

	"ente.example/idp/database"
)

// captchaAlphabet has none of the characters that look alike, the 0 O 1 I L of
// R54 and B 8, G 6, Q O, S 5, U V, Z 2 in odd letterings: of each such pair one
// at most is here. M and W are so wide that they cover what stands beside them.
const captchaAlphabet = "ACDEFHJKNPRTVXY23456789"

const (
	captchaLength = 7
	captchaLife   = 10 * time.Minute
	// captchaDraws bounds how often one challenge is drawn: each picture has its
	// own noise, and many of them together would have none.
	captchaDraws = 10
)

// ErrNoCaptcha says that there is nothing to show: never made, answered
// already, too old, drawn too often, or another browser's.
var ErrNoCaptcha = errors.New("throttle: no such captcha")

// CaptchaDeps are what Captchas are made of.
type CaptchaDeps struct {
	DB  *database.DB
	Key *prf.Set // what the characters come from
}

// Captchas makes and checks challenges that programs find harder than people
// (R54). Each is good for one answer, right or wrong, for ten minutes of the
// database's clock, for one form in one browser.
//
// A nil *Captchas is none at all: it makes nothing and believes everybody.
type Captchas struct {
	store captchaStore
	key   *prf.Set
}

// NewCaptchas makes Captchas.
func NewCaptchas(d CaptchaDeps) (*Captchas, error) {
	if d.DB == nil || d.Key == nil {
		return nil, errors.New("throttle: DB and Key are needed")
	}
	return &Captchas{store: captchaStore{db: d.DB}, key: d.Key}, nil
}

// Enabled tells whether pages ask for a captcha at all.
func (c *Captchas) Enabled() bool { return c != nil }

// Make makes a challenge for one form in one browser. The id is for that
// browser's page; it is empty where captchas are off.
func (c *Captchas) Make(ctx context.Context, form, browser string) (id string, err error) {
	if c == nil {
		return "", nil
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	id = base64.RawURLEncoding.EncodeToString(b[:])
	if err := c.store.add(ctx, challengeOf(id, form, browser)); err != nil {
		return "", fmt.Errorf("make a captcha: %w", err)
	}
	return id, nil
}

// Live tells whether a challenge can still be answered, without spending it.
func (c *Captchas) Live(ctx context.Context, id, form, browser string) (bool, error) {
	if c == nil {
		return false, nil
	}
	live, err := c.store.live(ctx, challengeOf(id, form, browser))
	if err != nil {
		return false, fmt.Errorf("read a captcha: %w", err)
	}
	return live, nil
}

// Check tells whether the answer is right, and spends the challenge whatever
// the answer: of many answers that arrive at once, on however many nodes, one
// at most is believed. It must not be called inside a transaction, whose
// rollback would give the challenge back.
func (c *Captchas) Check(ctx context.Context, id, form, browser, answer string) (bool, error) {
	if c == nil {
		return true, nil
	}
	if database.Inside(ctx) {
		return false, ErrInTransaction
	}
	first, err := c.store.spend(ctx, challengeOf(id, form, browser))
	if err != nil {
		return false, fmt.Errorf("spend a captcha: %w", err)
	}
	if !first {
		return false, nil
	}
	return c.right(id, answer)
}

// Picture draws a challenge as PNG.
func (c *Captchas) Picture(ctx context.Context, id, browser string) ([]byte, error) {
	if c == nil {
		return nil, ErrNoCaptcha
	}
	ok, err := c.store.draw(ctx, challengeOf(id, "", browser))
	if err != nil {
		return nil, fmt.Errorf("count a drawing: %w", err)
	}
	if !ok {
		return nil, ErrNoCaptcha
	}
	answer, err := answerOf(c.key.ComputePrimaryPRF, id)
	if err != nil {
		return nil, err
	}
	return drawCaptcha(answer)
}

// Sound speaks a challenge as WAV. It is the same to the byte each time, so
// that players may fetch it in pieces and again.
func (c *Captchas) Sound(ctx context.Context, id, browser, language string) ([]byte, error) {
	if c == nil {
		return nil, ErrNoCaptcha
	}
	ok, err := c.store.live(ctx, challengeOf(id, "", browser))
	if err != nil {
		return nil, fmt.Errorf("read a captcha: %w", err)
	}
	if !ok {
		return nil, ErrNoCaptcha
	}
	answer, err := answerOf(c.key.ComputePrimaryPRF, id)
	if err != nil {
		return nil, err
	}
	noise, err := newStream(c.key.ComputePrimaryPRF, "captcha/noise/v1", id)
	if err != nil {
		return nil, err
	}
	return speakCaptcha(noise, answer, language)
}

// Sweep removes challenges whose time is over, in small batches. Any number of
// nodes may run it at once.
func (c *Captchas) Sweep(ctx context.Context) (int, error) {
	if c == nil {
		return 0, nil
	}
	for removed := 0; ; {
		n, err := c.store.deleteExpired(ctx)
		removed += n
		if err != nil {
			return removed, fmt.Errorf("remove old captchas: %w", err)
		}
		if n < batch {
			return removed, nil
		}
	}
}

// right compares under every key, since a challenge may be older than the
// newest one.
func (c *Captchas) right(id, answer string) (bool, error) {
	typed := normalCaptcha(answer)
	for _, key := range c.key.PRFs {
		want, err := answerOf(key.ComputePRF, id)
		if err != nil {
			return false, err
		}
		if subtle.ConstantTimeCompare([]byte(typed), []byte(want)) == 1 {
			return true, nil
		}
	}
	return false, nil
}

// SolveCaptcha gives the answer to whoever holds the key: the tests of pages
// that have a captcha.
func SolveCaptcha(key *prf.Set, id string) (string, error) {
	return answerOf(key.ComputePrimaryPRF, id)
}

// compute is a keyed function, of one key or of the newest.
type compute func(input []byte, length uint32) ([]byte, error)

// answerOf are the characters of a challenge. They follow from its random id and
// our key, so that they are written down nowhere.
func answerOf(key compute, id string) (string, error) {
	chars, err := newStream(key, "captcha/answer/v1", id)
	if err != nil {
		return "", err
	}
	answer := make([]byte, captchaLength)
	for i := range answer {
		answer[i] = captchaAlphabet[chars.below(len(captchaAlphabet))]
	}
	return string(answer), nil
}

// normalCaptcha is what was typed as it is compared: no spaces or hyphens, and
// small letters are as good as capitals.
func normalCaptcha(typed string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "\u00a0", "").Replace(typed))
}

// challenge is a row of captchas by what finds it. An empty form stands for any.
type challenge struct {
	form          string
	hash, browser []byte
}

// challengeOf hashes what the browser holds: who reads the table can answer
// for nobody.
func challengeOf(id, form, browser string) challenge {
	h := sha256.Sum256([]byte("throttle/captcha/v1:" + id))
	b := sha256.Sum256([]byte("throttle/captcha-browser/v1:" + browser))
	return challenge{form: form, hash: h[:], browser: b[:]}
}
