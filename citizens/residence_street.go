package citizens

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// street is a line of an address taken apart: VIA, [GIUSEPPE GARIBALDI], 12A.
type street struct {
	kind   string // normalised toponym; empty where none is written
	words  []string
	number string // empty for none and for "snc"
}

// streets are the readings of a line: in South Tyrol it often holds both names,
// "Via Goethe/Goethestraße 4", of which the last carries the number.
func streets(line string, italian bool) []street {
	all := []street{parseStreet(line)}
	if !italian {
		return all
	}
	parts := twoNames.Split(line, -1)
	if len(parts) < 2 || onlyNumber.MatchString(parts[1]) {
		return all // 12/A is a number
	}
	last := parseStreet(parts[len(parts)-1])
	for _, p := range parts {
		s := parseStreet(p)
		if s.number == "" {
			s.number = last.number
		}
		all = append(all, s)
	}
	return all
}

var (
	onlyNumber = regexp.MustCompile(`^\s*([0-9]|[A-Za-z]\s*$)`)
	// dwelling is where in the house somebody lives, behind its number: offices
	// write it or do not.
	dwelling = regexp.MustCompile(`(?i)([0-9][0-9a-z/-]{0,5})[,\s]+(int(erno)?|sc(ala)?|p(iano)?|app(artamento)?|apt|whg|wohnung|stiege)\.?\s*[0-9a-z]{1,4}\b.*$`)
	noNumber = regexp.MustCompile(`(?i)[,\s]+(s\.?\s*n\.?\s*c\.?|s\.\s*n\.?|sn|senza\s+numero(\s+civico)?)\s*$`)
	numbered = regexp.MustCompile(`(?i)[,\s]+(?:n(?:um|umero|r|ro)?[.°º]*\s*|n[.°º]+\s*|civico\s*|nr\.?\s*|#\s*)?([0-9]+)\s*[-/]?\s*(bis|ter|[a-z])?\s*$`)
	// before the street, as in France and in the English-speaking world
	numberFirst = regexp.MustCompile(`(?i)^\s*([0-9]+)\s*[-/]?\s*(bis|ter|[a-z])?[,\s]+(.*\S)\s*$`)
)

func parseStreet(line string) street {
	var s street
	line = dwelling.ReplaceAllString(" "+line, "$1")
	switch {
	case noNumber.MatchString(line):
		line = noNumber.ReplaceAllString(line, "")
	case numbered.MatchString(line):
		m := numbered.FindStringSubmatchIndex(line)
		s.number = houseNumber(line[m[2]:m[3]], sub(line, m, 2))
		line = line[:m[0]]
	default:
		if m := numberFirst.FindStringSubmatch(line); m != nil {
			s.number, line = houseNumber(m[1], m[2]), m[3]
		}
	}
	s.kind, s.words = toponym(tokens(line))
	return s
}

// sub is a group of a match, empty where it did not take part.
func sub(s string, m []int, group int) string {
	if m[2*group] < 0 {
		return ""
	}
	return s[m[2*group]:m[2*group+1]]
}

func houseNumber(digits, letter string) string {
	return strings.TrimLeft(digits, "0") + strings.ToUpper(letter)
}

// tokens are the words of a street's name in capitals, without marks; roman
// numbers and those in words become digits, titles are written out.
func tokens(line string) []string {
	var words []string
	for _, w := range strings.Fields(fold(noDots.ReplaceAllString(line, "$1$2 "))) {
		if full, ok := written()[w]; ok {
			w = full
		}
		if n, ok := dates()[w]; ok {
			w = n
		}
		if w != "" {
			words = append(words, w)
		}
	}
	return words
}

// noDots joins the letters of V.LE and P.ZZA, which fold would part.
var noDots = regexp.MustCompile(`(?i)\b([cpvfls])\.\s?(le|lo|zza|ta|so|go|da|lli|mare|tt?i)\b\.?`)

// toponym takes the kind of street off its name: the first word in Italian,
// often the last piece of the only one in German.
func toponym(words []string) (kind string, name []string) {
	if len(words) == 0 {
		return "", nil
	}
	if k, ok := kinds()[words[0]]; ok && len(words) > 1 {
		return k, words[1:]
	}
	last := words[len(words)-1]
	for _, suffix := range germanKinds() {
		if stem, ok := strings.CutSuffix(last, suffix[0]); ok && (stem != "" || len(words) > 1) {
			name = slices.Clone(words[:len(words)-1])
			if stem != "" {
				name = append(name, stem)
			}
			return suffix[1], name
		}
	}
	return "", words
}

func (s street) same(o street, italian bool) bool {
	if s.number != o.number || len(s.words) == 0 || !sameKind(s.kind, o.kind, italian) {
		return false
	}
	if strings.Join(s.words, "") == strings.Join(o.words, "") {
		return true // DE GASPERI, DEGASPERI
	}
	return slices.EqualFunc(s.words, o.words, sameWord)
}

// sameWord takes an initial for the name: G. GARIBALDI.
func sameWord(a, b string) bool {
	if len(a) == 1 || len(b) == 1 {
		return a[0] == b[0] && a[0] > '9'
	}
	return a == b
}

// sameKind lets a German word stand for an Italian one in Italy, and nothing
// else: Gartenweg and Gartenstraße are two streets of one town.
func sameKind(a, b string, italian bool) bool {
	if a == b {
		return true
	}
	return italian && (slices.Contains(translated()[a], b) || slices.Contains(translated()[b], a))
}

var translated = sync.OnceValue(func() map[string][]string {
	return map[string][]string{
		"VIA": {"STRASSE", "GASSE", "WEG"}, "PIAZZA": {"PLATZ"}, "VICOLO": {"GASSE"}, "VIALE": {"ALLEE", "STRASSE"},
		"CORSO": {"STRASSE", "ALLEE"}, "PASSEGGIATA": {"PROMENADE"}, "STRADA": {"STRASSE", "WEG"},
	}
})

// kinds are the Italian toponyms by every way of writing them.
var kinds = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	for kind, spellings := range map[string]string{
		"VIA": "VIA V", "VIALE": "VIALE VLE", "PIAZZA": "PIAZZA PZA PZZA PIAZ", "PIAZZALE": "PIAZZALE PLE PZLE PIAZZLE",
		"PIAZZETTA": "PIAZZETTA PTTA PZTA", "CORSO": "CORSO CSO", "LARGO": "LARGO LGO", "STRADA": "STRADA STR", "VICOLO": "VICOLO VIC VCLO VLO",
		"LOCALITA": "LOCALITA LOC", "FRAZIONE": "FRAZIONE FRAZ FR", "CONTRADA": "CONTRADA CDA CTR CONTR", "BORGO": "BORGO BGO",
		"LUNGOMARE": "LUNGOMARE LMARE", "TRAVERSA": "TRAVERSA TRAV TR", "PASSEGGIATA": "PASSEGGIATA", "SALITA": "SALITA SAL",
		"GALLERIA": "GALLERIA GALL", "CIRCONVALLAZIONE": "CIRCONVALLAZIONE CIRCNE CIRC", "REGIONE": "REGIONE REG", "RIONE": "RIONE",
		"CALLE": "CALLE", "CAMPO": "CAMPO", "FONDAMENTA": "FONDAMENTA FTA", "SESTIERE": "SESTIERE", "SALIZADA": "SALIZADA", "VILLAGGIO": "VILLAGGIO VILL",
		"CASCINA": "CASCINA CASC CNA", "PODERE": "PODERE POD", "STRADALE": "STRADALE", "LUNGOTEVERE": "LUNGOTEVERE LTEVERE LGTEVERE",
	} {
		for s := range strings.FieldsSeq(spellings) {
			all[s] = kind
		}
	}
	return all
})

// germanKinds are suffixes, longest first, with what they stand for.
var germanKinds = sync.OnceValue(func() [][2]string {
	return [][2]string{
		{"PROMENADE", "PROMENADE"}, {"STRASSE", "STRASSE"}, {"GASSE", "GASSE"}, {"PLATZ", "PLATZ"}, {"ALLEE", "ALLEE"},
		{"UFER", "UFER"}, {"WEG", "WEG"}, {"STR", "STRASSE"}, {"PL", "PLATZ"},
	}
})

// written are abbreviations inside a name; what becomes empty does not count.
var written = sync.OnceValue(func() map[string]string {
	all := map[string]string{
		"S": "SAN", "SS": "SANTI", "STA": "SANTA", "STO": "SANTO", "FLLI": "FRATELLI", "GEN": "GENERALE", "PROF": "PROFESSOR", "CAV": "CAVALIERE",
		"MONS": "MONSIGNOR", "COL": "COLONNELLO", "CAP": "CAPITANO", "DOTT": "DOTTOR", "DR": "DOTTOR", "ON": "ONOREVOLE", "ING": "INGEGNER",
		"AVV": "AVVOCATO", "SEN": "SENATORE", "MAR": "MARESCIALLO", "NS": "NOSTRA SIGNORA", "MART": "MARTIRI", "ST": "SANKT",
	}
	for _, w := range []string{"DI", "DEL", "DELLA", "DELLO", "DEI", "DEGLI", "DELLE", "DELL", "D", "DU", "DES", "LA", "LE", "DER", "VON", "AM", "IM"} {
		all[w] = ""
	}
	return all
})

// dates are numbers as they stand in names of streets: XX Settembre, Venti
// Settembre, 20 Settembre.
var dates = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	for number, spellings := range map[string]string{
		"1": "I PRIMO", "2": "II DUE SECONDO", "3": "III TRE TERZO", "4": "IV QUATTRO QUARTO", "5": "CINQUE", "6": "VI SEI", "7": "VII SETTE",
		"8": "VIII OTTO", "9": "IX NOVE", "10": "DIECI", "11": "XI UNDICI", "12": "XII DODICI", "16": "XVI SEDICI", "20": "XX VENTI",
		"21": "XXI VENTUNO", "24": "XXIV VENTIQUATTRO", "25": "XXV VENTICINQUE", "27": "XXVII VENTISETTE", "28": "XXVIII VENTOTTO",
	} {
		for s := range strings.FieldsSeq(spellings) {
			all[s] = number
		}
	}
	return all
})
