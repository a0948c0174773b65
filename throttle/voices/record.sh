#!/bin/sh
# Records the letters and digits of the spoken captcha, once: the files it writes
# are kept beside it, so nobody needs the voices to build or run the program.
# On Debian: apt-get install espeak-ng sox; then run it anywhere.
#
# Every character is one file, <language>/<character>.ul: 8 kHz, mono, µ-law, no
# header. A letter is followed by a word that begins with it, since letters alone
# sound alike.
set -eu
cd "$(dirname "$0")"

say() { # language speed character text
	mkdir -p "$1"
	espeak-ng -v "$1" -s "$2" -g 2 -w "$tmp" "$4"
	sox "$tmp" -t raw -r 8000 -c 1 -e mu-law "$1/$3.ul" \
		gain -6 highpass 150 norm -3 silence 1 0.01 1% reverse silence 1 0.01 1% pad 0.03 0.03 reverse
}
tmp=$(mktemp --suffix=.wav)
trap 'rm -f "$tmp"' EXIT

while read -r letter words; do say it 150 "$letter" "$words"; done <<'WORDS'
A a, Ancona
C ci, Como
D di, Domodossola
E e, Empoli
F effe, Firenze
H acca, hotel
J i lunga, jolly
K cappa, kiwi
N enne, Napoli
P pi, Padova
R erre, Roma
T ti, Torino
V vu, Venezia
X ics, xilofono
Y ipsilon, yogurt
2 due
3 tre
4 quattro
5 cinque
6 sei
7 sette
8 otto
9 nove
WORDS

while read -r letter words; do say en 150 "$letter" "$words"; done <<'WORDS'
A A, Alfa
C C, Charlie
D D, Delta
E E, Echo
F F, Foxtrot
H H, Hotel
J J, Juliett
K K, Kilo
N N, November
P P, Papa
R R, Romeo
T T, Tango
V V, Victor
X X, X-ray
Y Y, Yankee
2 two
3 three
4 four
5 five
6 six
7 seven
8 eight
9 nine
WORDS
