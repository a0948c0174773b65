package throttle

import (
	"bytes"
	"embed"
	"encoding/binary"
	"fmt"
)

// voices are the recordings of voices/record.sh: 8 kHz, mono, µ-law, no header.
//
//go:embed voices/*/*.ul
var voices embed.FS

const (
	soundRate     = 8000          // samples a second
	otherLanguage = "it"          // for a language without a voice
	murmur        = 0.10          // how loud the voices behind are
	hiss          = 0.02          // and the noise
	pause         = soundRate / 2 // between characters, at least
)

// speakCaptcha says the characters one after the other, each at its own speed
// and distance, over a murmur of other characters backwards. People hear
// through that; a program cannot look for the recordings as they are.
func speakCaptcha(r stream, answer, language string) ([]byte, error) {
	if _, err := voices.ReadDir("voices/" + language); err != nil {
		language = otherLanguage
	}
	out := make([]float64, pause)
	for _, char := range answer {
		clip, err := recording(language, byte(char))
		if err != nil {
			return nil, err
		}
		out = append(out, stretched(clip, r.between(0.93, 1.07), r.between(0.75, 0.95))...)
		out = append(out, make([]float64, pause+r.below(pause))...)
	}
	if err := addMurmur(r, out, language); err != nil {
		return nil, err
	}
	for i := range out {
		out[i] += r.between(-hiss, hiss)
	}
	return wave(out), nil
}

// addMurmur lays characters that mean nothing under the whole length.
func addMurmur(r stream, out []float64, language string) error {
	for at := 0; at < len(out); {
		clip, err := recording(language, captchaAlphabet[r.below(len(captchaAlphabet))])
		if err != nil {
			return err
		}
		clip = stretched(clip, r.between(0.85, 1.15), murmur)
		for i := range clip {
			if at+i < len(out) {
				out[at+i] += clip[len(clip)-1-i]
			}
		}
		at += len(clip) * 2 / 3
	}
	return nil
}

// recording is one character as it was recorded, between -1 and 1.
func recording(language string, char byte) ([]float64, error) {
	raw, err := voices.ReadFile("voices/" + language + "/" + string(char) + ".ul")
	if err != nil {
		return nil, fmt.Errorf("speak a captcha: %w", err)
	}
	clip := make([]float64, len(raw))
	for i, b := range raw {
		clip[i] = muLaw(b)
	}
	return clip, nil
}

// muLaw opens one sample of ITU-T G.711.
func muLaw(b byte) float64 {
	b = ^b
	sample := float64((int(b&0x0f)<<3+0x84)<<(b>>4&7) - 0x84)
	if b&0x80 != 0 {
		sample = -sample
	}
	return sample / (1 << 15)
}

// stretched is a clip at another speed and loudness.
func stretched(clip []float64, speed, loud float64) []float64 {
	out := make([]float64, int(float64(len(clip)-1)/speed))
	for i := range out {
		at := float64(i) * speed
		n := int(at)
		out[i] = loud * (clip[n] + (clip[n+1]-clip[n])*(at-float64(n)))
	}
	return out
}

// wave is a WAV file of 16 bits a sample, which every browser plays.
func wave(samples []float64) []byte {
	const header, width = 44, 2
	var out bytes.Buffer
	out.Grow(header + width*len(samples))
	out.WriteString("RIFF")
	write := func(v any) { _ = binary.Write(&out, binary.LittleEndian, v) } // a Buffer takes everything
	write(uint32(header - 8 + width*len(samples)))
	out.WriteString("WAVEfmt ")
	write([]uint32{16, 1 | 1<<16, soundRate, soundRate * width, width | 8*width<<16}) // PCM, one channel
	out.WriteString("data")
	write(uint32(width * len(samples)))
	pcm := make([]int16, len(samples))
	for i, s := range samples {
		pcm[i] = int16(max(-1, min(1, s)) * (1<<15 - 1))
	}
	write(pcm)
	return out.Bytes()
}
