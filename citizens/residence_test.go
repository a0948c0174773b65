package citizens

import (
	"testing"

	"pgregory.net/rapid"
)

func TestR13SameResidence(t *testing.T) {
	t.Parallel()
	rome := func(street string) Address {
		return Address{Street: street, PostalCode: "00184", Locality: "Roma", Country: "IT"}
	}
	in := func(country, code, town, street string) Address {
		return Address{Street: street, PostalCode: code, Locality: town, Country: country}
	}
	for _, c := range []struct {
		name       string
		typed, has Address
		want       bool
	}{
		{"equal", rome("Via Roma 1"), rome("Via Roma 1"), true},
		{"case and spaces", rome("  VIA  roma,1 "), rome("Via Roma 1"), true},
		{"V.", rome("V. Roma 1"), rome("Via Roma 1"), true},
		{"V.le", rome("V.le Trastevere 5"), rome("Viale Trastevere 5"), true},
		{"P.zza", rome("P.zza della Repubblica, 3"), rome("PIAZZA REPUBBLICA 3"), true},
		{"P.le", rome("P.le Flaminio 9"), rome("Piazzale Flaminio 9"), true},
		{"C.so", rome("C.so Vittorio Emanuele II n. 24"), rome("Corso Vittorio Emanuele II 24"), true},
		{"L.go", rome("L.go Argentina 11"), rome("Largo Argentina 11"), true},
		{"C.da", rome("C.da Piano snc"), rome("Contrada Piano"), true},
		{"Loc.", rome("Loc. Osteria Nuova SNC"), rome("Località Osteria Nuova, s.n."), true},
		{"snc against a number", rome("Via Roma snc"), rome("Via Roma 1"), false},
		{"accents", rome("Via Libertà 4"), rome("VIA LIBERTA' 4"), true},
		{"apostrophe", rome("Via dell’Olmo 4"), rome("Via dell'Olmo 4"), true},
		{"n.", rome("Via Roma n. 1"), rome("Via Roma N°1"), true},
		{"civico", rome("Via Roma civico 1"), rome("Via Roma 1"), true},
		{"letter", rome("Via Roma 1/A"), rome("Via Roma 1 a"), true},
		{"bis", rome("Via Roma 1/bis"), rome("Via Roma 1bis"), true},
		{"another letter", rome("Via Roma 1/A"), rome("Via Roma 1/B"), false},
		{"letter or none", rome("Via Roma 1/A"), rome("Via Roma 1"), false},
		{"flat", rome("Via Roma 1, int. 7"), rome("Via Roma 1 scala B piano 2"), true},
		{"initial", rome("Via G. Garibaldi 2"), rome("Via Giuseppe Garibaldi 2"), true},
		{"another initial", rome("Via M. Garibaldi 2"), rome("Via Giuseppe Garibaldi 2"), false},
		{"saint", rome("Via S. Giovanni 2"), rome("Via San Giovanni 2"), true},
		{"brothers", rome("Via F.lli Rosselli 2"), rome("Via Fratelli Rosselli 2"), true},
		{"roman number", rome("Via XX Settembre 2"), rome("Via Venti Settembre 2"), true},
		{"digits", rome("Via IV Novembre 2"), rome("Via 4 Novembre 2"), true},
		{"joined", rome("Via De Gasperi 2"), rome("Via Degasperi 2"), true},
		{"number", rome("Via Roma 1"), rome("Via Roma 11"), false},
		{"no number", rome("Via Roma"), rome("Via Roma 1"), false},
		{"kind", rome("Via Roma 1"), rome("Piazza Roma 1"), false},
		{"name", rome("Via Roma 1"), rome("Via Romagna 1"), false},
		{"nothing typed", Address{}, rome("Via Roma 1"), false},
		{"nothing on file", rome("Via Roma 1"), Address{}, false},
		{"two nothings", Address{}, Address{}, false},

		{"CAP", in("IT", "00185", "Roma", "Via Roma 1"), rome("Via Roma 1"), false},
		{"general CAP", in("IT", "00100", "Roma", "Via Roma 1"), rome("Via Roma 1"), true},
		{"CAP missing", in("IT", "", "Roma", "Via Roma 1"), rome("Via Roma 1"), true},
		{"country missing", in("", "00184", "Roma", "Via Roma 1"), rome("Via Roma 1"), true},
		{"country", in("DE", "00184", "Roma", "Via Roma 1"), rome("Via Roma 1"), false},
		{"province", in("IT", "00184", "Roma (RM)", "Via Roma 1"), rome("Via Roma 1"), true},
		{"province behind", in("IT", "00184", "Roma, RM", "Via Roma 1"), rome("Via Roma 1"), true},
		{"locality", in("IT", "00184", "Romano", "Via Roma 1"), rome("Via Roma 1"), false},
		{"saint's town", in("IT", "47890", "S. Marino", "Via Roma 1"), in("IT", "47890", "San Marino", "Via Roma 1"), true},

		{"Bozen", in("IT", "39100", "Bozen", "Via Roma 1"), in("IT", "39100", "Bolzano", "Via Roma 1"), true},
		{"both names", in("IT", "39100", "Bolzano/Bozen", "Via Roma 1"), in("IT", "39100", "Bozen", "Via Roma 1"), true},
		{"both with a dash", in("IT", "39012", "Merano - Meran", "Via Roma 1"), in("IT", "39012", "MERANO", "Via Roma 1"), true},
		{"Saint Ulrich", in("IT", "39046", "St. Ulrich", "Via Roma 1"), in("IT", "39046", "Ortisei", "Via Roma 1"), true},
		{"shortened", in("IT", "39057", "Eppan", "Via Roma 1"), in("IT", "39057", "Appiano sulla strada del vino", "Via Roma 1"), true},
		{"Meran is not Bozen", in("IT", "", "Meran", "Via Roma 1"), in("IT", "", "Bolzano", "Via Roma 1"), false},
		{"German street", in("IT", "39100", "Bozen", "Goethestraße 4"), in("IT", "39100", "Bolzano", "Via Goethe 4"), true},
		{"German square", in("IT", "39100", "Bozen", "Waltherplatz 4"), in("IT", "39100", "Bolzano", "P.zza Walther 4"), true},
		{"both streets", in("IT", "39100", "Bozen", "Goethestr. 4"), in("IT", "39100", "Bolzano/Bozen", "Via Goethe/Goethestraße 4"), true},

		{"Germany", in("DE", "80331", "München", "Musterstr. 12"), in("DE", "80331", "Munchen", "Musterstraße 12"), true},
		{"prefix", in("DE", "D-80331", "München", "Musterstr. 12"), in("DE", "80331", "München", "Muster Straße 12"), true},
		{"two German streets", in("DE", "80331", "München", "Gartenweg 1"), in("DE", "80331", "München", "Gartenstraße 1"), false},
		{"France", in("FR", "75001", "Paris", "12 rue de Rivoli"), in("FR", "75001", "PARIS", "12, Rue de Rivoli"), true},
		{"another country's code", in("FR", "75002", "Paris", "12 rue de Rivoli"), in("FR", "75001", "Paris", "12 rue de Rivoli"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := SameResidence(c.typed, c.has); got != c.want {
				t.Errorf("SameResidence(%q, %q) = %v, want %v; %+v %+v", c.typed, c.has, got, c.want, streets(c.typed.Street, true), streets(c.has.Street, true))
			}
			if got := SameResidence(c.has, c.typed); got != c.want {
				t.Errorf("the other way round: %v, want %v", got, c.want)
			}
		})
	}
}

// Whatever is written, an address is the same as itself if it says where, and
// the order of the two does not matter.
func TestSameResidenceIsSymmetric(t *testing.T) {
	t.Parallel()
	text := rapid.StringOfN(rapid.RuneFrom([]rune("aBzéß 12/-.,'Viale°")), 0, 24, -1)
	rapid.Check(t, func(t *rapid.T) {
		a := Address{text.Draw(t, "street"), text.Draw(t, "code"), text.Draw(t, "town"), "", "IT"}
		b := Address{text.Draw(t, "street"), text.Draw(t, "code"), text.Draw(t, "town"), "", "IT"}
		if SameResidence(a, b) != SameResidence(b, a) {
			t.Fatalf("order matters: %q %q", a, b)
		}
	})
}

func TestBothNamesOfSouthTyrol(t *testing.T) {
	t.Parallel()
	for _, pair := range southTyrol() {
		if len(Places().Named(pair[0], Date{})) == 0 {
			t.Errorf("no comune is called %s", pair[0])
		}
		if pair[1] == "" {
			t.Errorf("%s has no German name", pair[0])
		}
	}
}
