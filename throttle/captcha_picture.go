package throttle

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"

	"github.com/mojocn/base64Captcha"
)

// drawCaptcha draws larger than pages show it, for sharp screens.
func drawCaptcha(answer string) ([]byte, error) {
	// the letterings in which each of our characters can be told from the others
	fonts := []string{"RitaSmith.ttf", "chromohv.ttf", "actionj.ttf", "wqy-microhei.ttc"}
	paper := &color.RGBA{R: 255, G: 255, B: 255, A: 255}
	lines := base64Captcha.OptionShowSlimeLine | base64Captcha.OptionShowHollowLine
	driver := base64Captcha.NewDriverString(105, 480, 12, lines, len(answer), captchaAlphabet, paper, nil, fonts)
	item, err := driver.DrawCaptcha(answer)
	if err != nil {
		return nil, fmt.Errorf("draw a captcha: %w", err)
	}
	var drawn, out bytes.Buffer
	if _, err := item.WriteTo(&drawn); err != nil {
		return nil, fmt.Errorf("draw a captcha: %w", err)
	}
	picture, err := png.Decode(&drawn)
	if err != nil {
		return nil, fmt.Errorf("draw a captcha: %w", err)
	}
	if err := png.Encode(&out, darkened(picture)); err != nil {
		return nil, fmt.Errorf("draw a captcha: %w", err)
	}
	return out.Bytes(), nil
}

// darkened makes the characters as dark as other text on our pages: the library
// takes yellow on white for a deep colour. Its noise is pale and stays so.
func darkened(picture image.Image) image.Image {
	const pale = 195
	out := image.NewNRGBA(picture.Bounds())
	draw.Draw(out, out.Bounds(), picture, picture.Bounds().Min, draw.Src)
	for i := 0; i < len(out.Pix); i += 4 {
		if p := out.Pix[i : i+3]; min(p[0], p[1], p[2]) < pale {
			p[0], p[1], p[2] = p[0]/5*2, p[1]/5*2, p[2]/5*2
		}
	}
	return out
}
