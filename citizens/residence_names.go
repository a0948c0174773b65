package citizens

import (
	"strings"
	"sync"
)

// southTyrol are the comuni of the province of Bolzano, in both languages. Names
// that are the same in both are not here.
var southTyrol = sync.OnceValue(func() [][2]string {
	const names = `Aldino=Aldein|Andriano=Andrian|Anterivo=Altrei|Appiano sulla strada del vino=Eppan an der Weinstraße|Avelengo=Hafling|Badia=Abtei
Barbiano=Barbian|Bolzano=Bozen|Braies=Prags|Brennero=Brenner|Bressanone=Brixen|Bronzolo=Branzoll|Brunico=Bruneck|Caines=Kuens
Caldaro sulla strada del vino=Kaltern an der Weinstraße|Campo di Trens=Freienfeld|Campo Tures=Sand in Taufers
Castelbello-Ciardes=Kastelbell-Tschars|Castelrotto=Kastelruth|Cermes=Tscherms|Chienes=Kiens|Chiusa=Klausen
Cornedo all'Isarco=Karneid|Cortaccia sulla strada del vino=Kurtatsch an der Weinstraße|Cortina sulla strada del vino=Kurtinig an der Weinstraße
Corvara in Badia=Corvara|Curon Venosta=Graun im Vinschgau|Dobbiaco=Toblach|Egna=Neumarkt|Falzes=Pfalzen|Fiè allo Sciliar=Völs am Schlern
Fortezza=Franzensfeste|Funes=Villnöß|Gargazzone=Gargazon|Glorenza=Glurns|La Valle=Wengen|Laces=Latsch|Lagundo=Algund|Laion=Lajen|Laives=Leifers
Lasa=Laas|Lauregno=Laurein|Luson=Lüsen|Magrè sulla strada del vino=Margreid an der Weinstraße|Malles Venosta=Mals|Marebbe=Enneberg
Marlengo=Marling|Martello=Martell|Meltina=Mölten|Merano=Meran|Monguelfo-Tesido=Welsberg-Taisten|Montagna=Montan
Moso in Passiria=Moos in Passeier|Nalles=Nals|Naturno=Naturns|Naz-Sciaves=Natz-Schabs|Nova Levante=Welschnofen|Nova Ponente=Deutschnofen
Ora=Auer|Ortisei=St. Ulrich|Parcines=Partschins|Perca=Percha|Ponte Gardena=Waidbruck|Postal=Burgstall|Prato allo Stelvio=Prad am Stilfser Joch
Predoi=Prettau|Proves=Proveis|Racines=Ratschings|Rasun-Anterselva=Rasen-Antholz|Renon=Ritten|Rifiano=Riffian|Rio di Pusteria=Mühlbach
Rodengo=Rodeneck|Salorno=Salurn|San Candido=Innichen|San Genesio Atesino=Jenesien|San Leonardo in Passiria=St. Leonhard in Passeier
San Lorenzo di Sebato=St. Lorenzen|San Martino in Badia=St. Martin in Thurn|San Martino in Passiria=St. Martin in Passeier|San Pancrazio=St. Pankraz
Santa Cristina Valgardena=St. Christina in Gröden|Sarentino=Sarntal|Scena=Schenna|Selva dei Molini=Mühlwald
Selva di Val Gardena=Wolkenstein in Gröden|Senale-San Felice=Unsere Liebe Frau im Walde-St. Felix|Senales=Schnals|Sesto=Sexten
Silandro=Schlanders|Sluderno=Schluderns|Stelvio=Stilfs|Terento=Terenten|Terlano=Terlan|Termeno sulla strada del vino=Tramin an der Weinstraße
Tesimo=Tisens|Tires=Tiers|Tirolo=Tirol|Trodena nel parco naturale=Truden im Naturpark|Tubre=Taufers im Münstertal|Ultimo=Ulten|Vadena=Pfatten
Val di Vizze=Pfitsch|Valdaora=Olang|Valle Aurina=Ahrntal|Valle di Casies=Gsies|Vandoies=Vintl|Varna=Vahrn|Velturno=Feldthurns|Verano=Vöran
Villabassa=Niederdorf|Villandro=Villanders|Vipiteno=Sterzing`
	var pairs [][2]string
	for entry := range strings.FieldsFuncSeq(names, func(r rune) bool { return r == '|' || r == '\n' }) {
		italian, german, _ := strings.Cut(entry, "=")
		pairs = append(pairs, [2]string{italian, german})
	}
	return pairs
})
