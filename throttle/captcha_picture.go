package throttle

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/gomonobold"
	"golang.org/x/image/font/gofont/gosmallcaps"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// Larger than pages show it, for sharp screens.
const (
	pictureWidth  = 480
	pictureHeight = 105
	letterSize    = 86
)

var (
	ink   = image.NewUniform(color.Gray{Y: 60})
	faint = image.NewUniform(color.Gray{Y: 200})
)

// letterings are those in which each of our characters can be told from the
// others.
var letterings = sync.OnceValues(func() ([]*sfnt.Font, error) {
	var list []*sfnt.Font
	for _, data := range [][]byte{gobold.TTF, goitalic.TTF, gomonobold.TTF, gosmallcaps.TTF} {
		f, err := sfnt.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("read a lettering: %w", err)
		}
		list = append(list, f)
	}
	return list, nil
})

// drawCaptcha writes the answer in changing letters that lean, sway and touch
// each other, on faint strokes and under two that cross them in the same ink.
func drawCaptcha(answer string) ([]byte, error) {
	fonts, err := letterings()
	if err != nil {
		return nil, err
	}
	p, err := newPicture()
	if err != nil {
		return nil, err
	}
	for range 6 {
		p.stroke(faint, 2)
	}
	step := float64(pictureWidth-40) / float64(len(answer))
	for i, char := range answer {
		x := 20 + step*(float64(i)+0.5) + p.about(step/12)
		if err := p.letter(fonts[p.below(len(fonts))], char, x); err != nil {
			return nil, fmt.Errorf("draw a captcha: %w", err)
		}
	}
	p.stroke(ink, 3)
	p.stroke(ink, 3)
	var out bytes.Buffer
	if err := png.Encode(&out, p.canvas); err != nil {
		return nil, fmt.Errorf("draw a captcha: %w", err)
	}
	return out.Bytes(), nil
}

// picture is one drawing. All of it sways in the same waves.
type picture struct {
	stream
	canvas         *image.Gray
	raster         *vector.Rasterizer
	phaseX, phaseY float64
}

func newPicture() (*picture, error) {
	noise, err := newNoise()
	if err != nil {
		return nil, err
	}
	p := &picture{
		stream: noise,
		canvas: image.NewGray(image.Rect(0, 0, pictureWidth, pictureHeight)),
		raster: vector.NewRasterizer(pictureWidth, pictureHeight),
		phaseX: noise.between(0, 2*math.Pi), phaseY: noise.between(0, 2*math.Pi),
	}
	draw.Draw(p.canvas, p.canvas.Bounds(), image.White, image.Point{}, draw.Src)
	return p, nil
}

// about is a number between -most and most.
func (p *picture) about(most float64) float64 { return p.between(-most, most) }

// sway is where a point comes to lie.
func (p *picture) sway(x, y float64) (float32, float32) {
	return float32(x + 4*math.Sin(y/17+p.phaseX)), float32(y + 6*math.Sin(x/38+p.phaseY))
}

// fill draws what the rasterizer holds.
func (p *picture) fill(paint image.Image) {
	p.raster.DrawOp = draw.Over
	p.raster.Draw(p.canvas, p.canvas.Bounds(), paint, image.Point{})
	p.raster.Reset(pictureWidth, pictureHeight)
}

// stroke goes from the left to the right, up and down.
func (p *picture) stroke(paint image.Image, width float64) {
	const step = 6.0
	middle, height := pictureHeight/2+p.about(24), p.between(8, 30)
	length, phase := p.between(50, 110), p.between(0, 2*math.Pi)
	at := func(x float64) float64 { return middle + height*math.Sin(x/length+phase) }
	p.raster.MoveTo(p.sway(0, at(0)))
	for x := step; x <= pictureWidth; x += step {
		p.raster.LineTo(p.sway(x, at(x)))
	}
	for x := float64(pictureWidth); x >= 0; x -= step {
		p.raster.LineTo(p.sway(x, at(x)+width))
	}
	p.raster.ClosePath()
	p.fill(paint)
}

// letter draws one character about x, leaning and turned a little.
func (p *picture) letter(f *sfnt.Font, char rune, x float64) error {
	var buffer sfnt.Buffer
	glyph, err := f.GlyphIndex(&buffer, char)
	if err != nil {
		return fmt.Errorf("find %q: %w", char, err)
	}
	size := fixed.I(letterSize + p.below(14) - 7)
	width, err := f.GlyphAdvance(&buffer, glyph, size, font.HintingNone)
	if err != nil {
		return fmt.Errorf("measure %q: %w", char, err)
	}
	outline, err := f.LoadGlyph(&buffer, glyph, size, nil)
	if err != nil {
		return fmt.Errorf("read %q: %w", char, err)
	}
	p.trace(outline, p.leaning(x, float64(width)/128, float64(size)/64))
	p.fill(ink)
	return nil
}

// leaning puts the points of a letter where it stands: half its width before x,
// on a line of its own, turned and sheared.
func (p *picture) leaning(x, half, size float64) func(fixed.Point26_6) (float32, float32) {
	sin, cos := math.Sincos(p.about(0.28))
	shear, base := p.about(0.2), pictureHeight/2+p.about(8)
	return func(at fixed.Point26_6) (float32, float32) {
		dx, dy := float64(at.X)/64-half, float64(at.Y)/64+0.36*size
		dx += shear * dy
		return p.sway(x+dx*cos-dy*sin, base+dx*sin+dy*cos)
	}
}

func (p *picture) trace(outline sfnt.Segments, at func(fixed.Point26_6) (float32, float32)) {
	for _, s := range outline {
		ax, ay := at(s.Args[0])
		bx, by := at(s.Args[1])
		switch s.Op {
		case sfnt.SegmentOpMoveTo:
			p.raster.ClosePath()
			p.raster.MoveTo(ax, ay)
		case sfnt.SegmentOpLineTo:
			p.raster.LineTo(ax, ay)
		case sfnt.SegmentOpQuadTo:
			p.raster.QuadTo(ax, ay, bx, by)
		case sfnt.SegmentOpCubeTo:
			cx, cy := at(s.Args[2])
			p.raster.CubeTo(ax, ay, bx, by, cx, cy)
		}
	}
	p.raster.ClosePath()
}
