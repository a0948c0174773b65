package delivery

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/text/unicode/norm"
)

// fonts are the looks' own, and a plain one for letters that those lack, such
// as Greek or Cyrillic. Their licences lie beside them.
//
//go:embed fonts/*.ttf
var fonts embed.FS

// The page in millimetres: A4, folded twice, the window on the right.
const (
	left, right, bottom     = 20.0, 190.0, 283.0
	windowX, windowY        = 110.0, 52.0
	windowW, windowH        = 78.0, 30.0 // 2 mm short of the window's width
	firstFold, secondFold   = 99.0, 198.0
	bodyY                   = 106.0
	foldMark                = 6.0
	point                   = 25.4 / 72
	boxPadding, codeSize    = 6.0, 46.0
	largest, smallest       = 15.0, 12.0 // points of the running text
	leading                 = 1.4
	bold, plain, odd, fixed = "bold", "plain", "odd", "fixed"
)

// errUnprintable says that a letter has signs that no font of ours has, or
// that it does not fit. Trying again cannot help.
var errUnprintable = errors.New("the letter cannot be printed")

// standsAlone is half a PIN, alone on its line.
var standsAlone = regexp.MustCompile(`^[0-9A-F]{8}$`)

// item is one step of a list: its number and its text.
var item = regexp.MustCompile(`^([0-9]+\.) (.+)$`)

// typesetter knows the fonts.
type typesetter struct {
	files map[string][]byte
	signs map[string]*sfnt.Font
}

func newTypesetter() (*typesetter, error) {
	t := &typesetter{files: map[string][]byte{}, signs: map[string]*sfnt.Font{}}
	for family, file := range map[string]string{
		plain: "titillium-web-regular", bold: "titillium-web-bold", fixed: "roboto-mono-bold", odd: "dejavu-sans",
	} {
		raw, err := fonts.ReadFile("fonts/" + file + ".ttf")
		if err != nil {
			return nil, fmt.Errorf("read a font: %w", err)
		}
		if t.signs[family], err = sfnt.Parse(raw); err != nil {
			return nil, fmt.Errorf("read the font %s: %w", file, err)
		}
		t.files[family] = raw
	}
	return t, nil
}

// has reports whether a font has every sign of a text.
func (t *typesetter) has(family, text string) bool {
	var buf sfnt.Buffer
	for _, r := range text {
		if i, err := t.signs[family].GlyphIndex(&buf, r); err != nil || i == 0 {
			return false
		}
	}
	return true
}

// page is a letter on its way to paper: one sheet, set from top to bottom.
type page struct {
	*fpdf.Fpdf
	fonts *typesetter
	y     float64 // where the next line begins
	size  float64 // of the running text
	err   error
}

// printed is a letter as it goes to the printer. One that cannot be set is
// rejected for good.
func (t *typesetter) printed(l Letter, head Letterhead) ([]byte, error) {
	from, about, err := head(l.Language, l.ID, l.QueuedAt)
	if err != nil {
		return nil, fmt.Errorf("write a letterhead: %w", err)
	}
	content, err := t.pdf(l, from, about)
	if errors.Is(err, errUnprintable) {
		return nil, fmt.Errorf("%w: %w", err, ErrRejected)
	}
	return content, err
}

// pdf sets a letter: the same bytes at every try. Text that is too long for a
// sheet is set smaller, down to a size that is still large.
func (t *typesetter) pdf(l Letter, from, about string) ([]byte, error) {
	for size := largest; size >= smallest; size-- {
		p := t.sheet(l, size)
		p.frame(l, from, about)
		p.text(l)
		if p.err != nil {
			return nil, p.err
		}
		if p.y > bottom {
			continue
		}
		var b bytes.Buffer
		if err := p.Output(&b); err != nil {
			return nil, errors.New("set a letter: the page cannot be written") // err could quote it
		}
		return b.Bytes(), nil
	}
	return nil, fmt.Errorf("%w: it is longer than a sheet", errUnprintable)
}

func (t *typesetter) sheet(l Letter, size float64) *page {
	p := &page{Fpdf: fpdf.New("P", "mm", "A4", ""), fonts: t, size: size}
	for _, family := range []string{plain, bold, fixed, odd} { // in one order, for the same bytes
		p.AddUTF8FontFromBytes(family, "", t.files[family])
	}
	p.SetAutoPageBreak(false, 0)
	p.SetMargins(left, 0, 210-right)
	p.SetCreationDate(l.QueuedAt.UTC())
	p.SetModificationDate(l.QueuedAt.UTC())
	p.SetCatalogSort(true)
	p.SetLang(l.Language)
	p.SetTitle(l.Subject, true)
	p.AddPage()
	return p
}

// frame is all that stands around the text. Nothing but name and address is in
// the window.
func (p *page) frame(l Letter, from, about string) {
	p.SetLineWidth(0.2)
	p.Line(0, firstFold, foldMark, firstFold)
	p.Line(0, secondFold, foldMark, secondFold)
	name, rest, _ := strings.Cut(from, "\n")
	p.y = 18
	p.lines(bold, 15, left, windowX-left, name)
	if rest != "" {
		p.lines(plain, 12, left, windowX-left, rest)
	}
	if p.y > windowY {
		p.fail("the sender's lines reach the window")
	}
	p.y = windowY
	p.lines(plain, 11, left, windowX-left-5, about)
	p.address(l)
	p.y = bodyY
}

// address fills the window with as large a size as fits.
func (p *page) address(l Letter) {
	text := l.To.Reveal()
	if !strings.Contains(text, "\n") {
		text = strings.ReplaceAll(text, ", ", "\n")
	}
	text = l.Name + "\n" + text
	for size := 13.0; size >= 9; size-- {
		p.y = windowY
		if p.height(plain, size, windowW, text) <= windowH {
			p.lines(plain, size, windowX, windowW, text)
			return
		}
	}
	p.fail("the address does not fit the window")
}

// text sets the words: paragraphs, steps, and what stands alone in a box.
func (p *page) text(l Letter) {
	p.lines(bold, 22, left, right-left, l.Subject)
	p.y += 2
	width, listed := right-left, false
	for paragraph := range strings.SplitSeq(strings.Trim(l.Body.Reveal(), "\n"), "\n\n") {
		lines := strings.Split(strings.Trim(paragraph, "\n"), "\n")
		switch {
		case len(lines) == 1 && standsAlone.MatchString(lines[0]):
			p.box(lines[0])
			continue
		case listed: // after the steps come the warnings, under a line
			p.SetLineWidth(0.3)
			p.Line(left, p.y, right, p.y)
			p.y, listed = p.y+3, false
		}
		for i, line := range lines {
			step := item.FindStringSubmatch(line)
			switch {
			case step != nil:
				listed = true
				y := p.y
				p.lines(plain, p.size, left, 8, step[1])
				p.y = y
				p.lines(plain, p.size, left+8, width-8, step[2])
				p.y++
			case i+1 < len(lines) && item.MatchString(lines[i+1]):
				p.lines(bold, p.size+1, left, width, line)
			default:
				p.lines(plain, p.size, left, width, line)
			}
		}
		p.y += 3
	}
}

// box shows half a PIN in groups of four. It lies inside of the two folds.
func (p *page) box(half string) {
	height := codeSize*point*1.2 + 2*boxPadding
	if p.y < firstFold || p.y+height > secondFold {
		p.fail("the box crosses a fold")
		return
	}
	p.SetLineWidth(0.6)
	p.RoundedRect(left, p.y, right-left, height, 1.5, "1234", "D")
	text := half[:4] + " " + half[4:]
	p.SetFont(fixed, "", codeSize)
	p.Text((left+right-p.GetStringWidth(text))/2, p.y+boxPadding+codeSize*point*0.95, text)
	p.y += height + 6
}

// lines sets a text, broken to a width.
func (p *page) lines(family string, size, x, width float64, text string) {
	for line := range strings.SplitSeq(norm.NFC.String(text), "\n") {
		if !p.use(family, size, line) {
			return
		}
		for _, piece := range p.broken(line, width) {
			p.Text(x, p.y+size*point, piece)
			p.y += size * point * leading
		}
	}
}

// height is what lines would take.
func (p *page) height(family string, size, width float64, text string) float64 {
	n := 0
	for line := range strings.SplitSeq(norm.NFC.String(text), "\n") {
		if !p.use(family, size, line) {
			return 0
		}
		n += len(p.broken(line, width))
	}
	return float64(n) * size * point * leading
}

// use chooses a font that has every sign of a line.
func (p *page) use(family string, size float64, line string) bool {
	if !p.fonts.has(family, line) {
		family = odd
	}
	if !p.fonts.has(family, line) {
		p.fail("a sign is in no font")
		return false
	}
	p.SetFont(family, "", size)
	return true
}

// broken breaks a line at its spaces, and a word that is too long anywhere.
func (p *page) broken(line string, width float64) []string {
	var out []string
	now := ""
	for _, word := range strings.Fields(line) {
		if next := strings.TrimSpace(now + " " + word); p.GetStringWidth(next) <= width {
			now = next
			continue
		}
		if now != "" {
			out = append(out, now)
		}
		for now = word; p.GetStringWidth(now) > width; {
			n := p.fitting(now, width)
			out, now = append(out, string([]rune(now)[:n])), string([]rune(now)[n:])
		}
	}
	return append(out, now)
}

// fitting is how many signs of a word fit, at least one.
func (p *page) fitting(word string, width float64) int {
	r := []rune(word)
	n := len(r)
	for n > 1 && p.GetStringWidth(string(r[:n])) > width {
		n--
	}
	return n
}

func (p *page) fail(why string) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: %s", errUnprintable, why)
	}
}
