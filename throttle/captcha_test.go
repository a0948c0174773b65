package throttle

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/secrets"
)

const (
	form    = "recover"
	browser = "a browser"
)

func captchas(t *testing.T, dbs ...*database.DB) []*Captchas {
	t.Helper()
	ring, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	var all []*Captchas
	for _, db := range dbs {
		c, err := NewCaptchas(CaptchaDeps{DB: db, Key: ring.PRF(secrets.Throttle)})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

func made(t *testing.T, c *Captchas) (id, answer string) {
	t.Helper()
	id, err := c.Make(t.Context(), form, browser)
	if err != nil {
		t.Fatal(err)
	}
	return id, solution(t, c, id)
}

func solution(t *testing.T, c *Captchas, id string) string {
	t.Helper()
	answer, err := SolveCaptcha(c.key, id)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func (c *Captchas) mustCheck(t *testing.T, id, form, browser, answer string) bool {
	t.Helper()
	right, err := c.Check(t.Context(), id, form, browser, answer)
	if err != nil {
		t.Fatal(err)
	}
	return right
}

func TestR54SevenCharactersWithoutLookAlikes(t *testing.T) {
	t.Parallel()
	if strings.ContainsAny(captchaAlphabet, "0O1IL") {
		t.Errorf("alphabet %s has look-alikes", captchaAlphabet)
	}
	ring, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	c := &Captchas{key: ring.PRF(secrets.Throttle)}
	shape := regexp.MustCompile("^[" + captchaAlphabet + "]{7}$")
	seen := map[string]bool{}
	for n := range 500 {
		answer := solution(t, c, strings.Repeat("x", n))
		if !shape.MatchString(answer) || seen[answer] {
			t.Fatalf("answer %q, seen before: %v", answer, seen[answer])
		}
		seen[answer] = true
	}
}

func TestR54CaptchaIsGoodForOneAnswer(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := captchas(t, db)[0]
		for name, change := range map[string]func(string) string{
			"as it is": func(s string) string { return s },
			"small":    strings.ToLower,
			"in parts": func(s string) string { return " " + s[:3] + " " + s[3:5] + "-" + s[5:] },
		} {
			id, answer := made(t, c)
			if got := c.mustCheck(t, id, form, browser, change(answer)); !got {
				t.Errorf("%s: the right answer was not believed", name)
			}
			if got := c.mustCheck(t, id, form, browser, answer); got {
				t.Errorf("%s: the second answer was believed", name)
			}
		}
		id, answer := made(t, c)
		if c.mustCheck(t, id, form, browser, "") {
			t.Error("an empty answer was believed")
		}
		if c.mustCheck(t, id, form, browser, answer) {
			t.Error("the right answer after a wrong one was believed")
		}
		for _, id := range []string{"", "never made"} {
			if c.mustCheck(t, id, form, browser, solution(t, c, id)) {
				t.Errorf("challenge %q was believed", id)
			}
		}
	})
}

func TestR54CaptchaBelongsToFormAndBrowser(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := captchas(t, db)[0]
		id, answer := made(t, c)
		if c.mustCheck(t, id, "revoke", browser, answer) {
			t.Error("another form was believed")
		}
		if c.mustCheck(t, id, form, "somebody", answer) {
			t.Error("another browser was believed")
		}
		if _, err := c.Picture(t.Context(), id, "somebody"); !errors.Is(err, ErrNoCaptcha) {
			t.Errorf("picture in another browser: %v, want ErrNoCaptcha", err)
		}
		if _, err := c.Sound(t.Context(), id, "somebody", "it"); !errors.Is(err, ErrNoCaptcha) {
			t.Errorf("sound in another browser: %v, want ErrNoCaptcha", err)
		}
		if !c.mustCheck(t, id, form, browser, answer) {
			t.Error("what others tried has spent the challenge")
		}
	})
}

func TestR54CaptchaLivesTenMinutes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := captchas(t, db)[0]
		young, youngAnswer := made(t, c)
		old, oldAnswer := made(t, c)
		databasetest.Shift(t, db, 10*time.Minute-5*time.Second)
		if !c.mustCheck(t, young, form, browser, youngAnswer) {
			t.Error("dead before ten minutes")
		}
		databasetest.Shift(t, db, 5*time.Second)
		if live, err := c.Live(t.Context(), old, form, browser); live || err != nil {
			t.Errorf("Live after ten minutes = %v, %v", live, err)
		}
		if c.mustCheck(t, old, form, browser, oldAnswer) {
			t.Error("believed after ten minutes")
		}
		if n, err := c.Sweep(t.Context()); n != 2 || err != nil {
			t.Errorf("Sweep = %d, %v, want both rows", n, err)
		}
	})
}

// One challenge, many answers at once, on two nodes: one at most is believed.
func TestR54CaptchaRace(t *testing.T) {
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		nodes := captchas(t, a, b)
		for range 5 {
			id, answer := made(t, nodes[0])
			var believed atomic.Int32
			databasetest.Barrier(8, func(i int) {
				right, err := nodes[i%2].Check(t.Context(), id, form, browser, answer)
				if err != nil {
					t.Error(err)
				}
				if right {
					believed.Add(1)
				}
			})
			if got := believed.Load(); got != 1 {
				t.Errorf("%d of 8 right answers were believed, want 1", got)
			}
		}
	})
}

// A rollback would give the challenge back.
func TestCaptchaIsNotCheckedInATransaction(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := captchas(t, db)[0]
		id, answer := made(t, c)
		err := db.InTx(t.Context(), func(ctx context.Context) error {
			_, err := c.Check(ctx, id, form, browser, answer)
			return err
		})
		if !errors.Is(err, ErrInTransaction) {
			t.Errorf("Check in a transaction: %v, want ErrInTransaction", err)
		}
	})
}

func TestCaptchaPicture(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := captchas(t, db)[0]
		id, answer := made(t, c)
		for n := range captchaDraws {
			drawn, err := c.Picture(t.Context(), id, browser)
			if err != nil {
				t.Fatalf("drawing %d: %v", n, err)
			}
			if _, err := png.Decode(bytes.NewReader(drawn)); err != nil {
				t.Fatal(err)
			}
			if len(drawn) > 100<<10 {
				t.Errorf("a picture of %d bytes", len(drawn))
			}
		}
		if _, err := c.Picture(t.Context(), id, browser); !errors.Is(err, ErrNoCaptcha) {
			t.Errorf("drawing %d: %v, want ErrNoCaptcha", captchaDraws+1, err)
		}
		if !c.mustCheck(t, id, form, browser, answer) {
			t.Error("looking has spent the challenge")
		}
	})
}

func TestCaptchaSound(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := captchas(t, db)[0]
		id, answer := made(t, c)
		first := heard(t, c, id, "it")
		if again := heard(t, c, id, "it"); !bytes.Equal(first, again) {
			t.Error("the same challenge sounds different the second time")
		}
		if english := heard(t, c, id, "en"); bytes.Equal(first, english) {
			t.Error("English sounds like Italian")
		}
		if other, _ := made(t, c); bytes.Equal(first, heard(t, c, other, "it")) {
			t.Error("two challenges sound the same")
		}
		if !c.mustCheck(t, id, form, browser, answer) {
			t.Error("listening has spent the challenge")
		}
		if _, err := c.Sound(t.Context(), id, browser, "it"); !errors.Is(err, ErrNoCaptcha) {
			t.Errorf("sound of a spent challenge: %v, want ErrNoCaptcha", err)
		}
	})
}

func heard(t *testing.T, c *Captchas, id, language string) []byte {
	t.Helper()
	wav, err := c.Sound(t.Context(), id, browser, language)
	if err != nil {
		t.Fatal(err)
	}
	if seconds := float64(len(wav)-44) / 2 / soundRate; seconds < 5 || seconds > 30 {
		t.Errorf("%s: %.1f seconds", language, seconds)
	}
	if got := string(wav[:4]) + string(wav[8:16]); got != "RIFFWAVEfmt " {
		t.Errorf("not a WAV file: %q", got)
	}
	return wav
}

// Each voice has every character, and nothing else is embedded.
func TestVoicesAreComplete(t *testing.T) {
	t.Parallel()
	want := strings.Split(captchaAlphabet, "")
	slices.Sort(want)
	total := 0
	for _, language := range []string{"it", "en"} {
		var got []string
		files, err := voices.ReadDir("voices/" + language)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			got = append(got, strings.TrimSuffix(f.Name(), ".ul"))
			info, err := f.Info()
			if err != nil {
				t.Fatal(err)
			}
			total += int(info.Size())
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("voice %s has %v, want %v", language, got, want)
		}
	}
	if total > 400<<10 {
		t.Errorf("the voices take %d bytes", total)
	}
}

func TestMuLaw(t *testing.T) {
	t.Parallel()
	for code, want := range map[byte]float64{0xff: 0, 0x7f: 0, 0x80: 32124, 0x00: -32124, 0xf0: 120, 0x70: -120} {
		if got := muLaw(code) * (1 << 15); got != want {
			t.Errorf("muLaw(%#x) = %v, want %v", code, got, want)
		}
	}
}

// With captchas off nothing is shown, nothing is stored, everybody is believed.
func TestNoCaptchas(t *testing.T) {
	t.Parallel()
	var c *Captchas
	if c.Enabled() {
		t.Error("none is enabled")
	}
	if id, err := c.Make(t.Context(), form, browser); id != "" || err != nil {
		t.Errorf("Make = %q, %v", id, err)
	}
	if !c.mustCheck(t, "", form, browser, "") {
		t.Error("none does not believe")
	}
	if live, err := c.Live(t.Context(), "", form, browser); live || err != nil {
		t.Errorf("Live = %v, %v", live, err)
	}
	if _, err := c.Picture(t.Context(), "", browser); !errors.Is(err, ErrNoCaptcha) {
		t.Errorf("Picture: %v", err)
	}
	if _, err := c.Sound(t.Context(), "", browser, "it"); !errors.Is(err, ErrNoCaptcha) {
		t.Errorf("Sound: %v", err)
	}
	if n, err := c.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("Sweep = %d, %v", n, err)
	}
}

// Every lettering has every character, and no two drawings are alike.
func TestLetterings(t *testing.T) {
	t.Parallel()
	fonts, err := letterings()
	if err != nil {
		t.Fatal(err)
	}
	for n, f := range fonts {
		for _, char := range captchaAlphabet {
			if glyph, err := f.GlyphIndex(nil, char); err != nil || glyph == 0 {
				t.Errorf("lettering %d has no %q: %v", n, char, err)
			}
		}
	}
	seen := map[string]bool{}
	for range 20 {
		drawn, err := drawCaptcha("ACDEFHJ")
		if err != nil {
			t.Fatal(err)
		}
		seen[string(drawn)] = true
	}
	if len(seen) != 20 {
		t.Errorf("20 drawings of one answer are %d pictures", len(seen))
	}
}

// Each character leaves its ink where it stands.
func TestPictureOfEachCharacter(t *testing.T) {
	t.Parallel()
	fonts, err := letterings()
	if err != nil {
		t.Fatal(err)
	}
	for _, char := range captchaAlphabet {
		p, err := newPicture()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.letter(fonts[0], char, pictureWidth/2); err != nil {
			t.Fatal(err)
		}
		inside, outside := 0, 0
		for i, grey := range p.canvas.Pix {
			x, y := i%p.canvas.Stride, i/p.canvas.Stride
			switch {
			case grey > 100:
			case x > pictureWidth/2-60 && x < pictureWidth/2+60 && y > 0 && y < pictureHeight-1:
				inside++
			default:
				outside++
			}
		}
		if inside < 300 || outside > inside/20 {
			t.Errorf("%q leaves %d dark points where it stands and %d elsewhere", char, inside, outside)
		}
	}
}
