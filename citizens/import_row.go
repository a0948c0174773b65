package citizens

import (
	"errors"
	"fmt"
	"strings"
)

// entry is a good row of the file. What is zero was an empty cell, and leaves
// the value that the registry has.
type entry struct {
	line       int
	code       FiscalCode
	given      string
	family     string
	sex        Sex
	birth      Date
	birthPlace string
	residence  Address
	document   *bool
	category   Category
	card       CardNumber
	cardExpiry Date
	contacts   Contacts
	deceased   Date
}

// parseEntry reads a row; a bad one says all that is wrong with it.
func parseEntry(line int, columns, cells []string, today Date) (entry, *badRowError) {
	e := entry{line: line}
	var wrong []string
	for i, cell := range cells {
		if cell == "" {
			continue
		}
		if err := e.set(columns[i], cell, today); err != nil {
			wrong = append(wrong, columns[i]+": "+err.Error())
		}
	}
	if e.code.IsZero() && len(wrong) == 0 {
		wrong = append(wrong, colFiscalCode+": is obligatory")
	}
	if len(wrong) > 0 {
		return entry{}, &badRowError{strings.Join(wrong, "; ")}
	}
	return e, nil
}

func (e *entry) set(column, cell string, today Date) (err error) {
	switch column {
	case colFiscalCode:
		e.code, err = ParseFiscalCode(cell) // the institution may enter provisional ones
	case colGivenName:
		e.given = cell
	case colFamilyName:
		e.family = cell
	case colSex:
		e.sex, err = oneOf(cell, Male, Female)
	case colBirthDate:
		e.birth, err = pastDate(cell, today)
	case colBirthPlace:
		e.birthPlace, err = parsePlaceCode(cell)
	case colDocument:
		var answer string
		answer, err = oneOf(cell, documentYes, documentNo)
		e.document = new(answer == documentYes)
	case colCategory:
		e.category, err = oneOf(cell, Ordinary, Intermediary)
	case colCardNumber:
		e.card, err = ParseCardNumber(cell)
	case colCardExpiry:
		e.cardExpiry, err = parseISODate(cell)
	case colMobile, colEmail, colPEC:
		err = e.setContact(ContactKind(column), cell)
	case colDeceasedOn:
		e.deceased, err = pastDate(cell, today)
	default:
		err = e.setAddress(column, cell)
	}
	return err
}

func (e *entry) setContact(kind ContactKind, cell string) error {
	if kind == Mobile && !strings.HasPrefix(cell, "+") {
		return errInternational // a file of many countries is no place to guess
	}
	value, err := ParseContact(kind, cell)
	e.contacts.set(kind, Contact{Value: value, Verified: true})
	return err
}

func (e *entry) setAddress(column, cell string) (err error) {
	switch column {
	case colStreet:
		e.residence.Street = cell
	case colPostalCode:
		e.residence.PostalCode = cell
	case colLocality:
		e.residence.Locality = cell
	case colRegion:
		e.residence.Region = cell
	case colCountry:
		e.residence.Country, err = ParseCountry(cell)
	default:
		err = errors.New("no such column") // the header was checked
	}
	return err
}

func oneOf[T ~string](cell string, values ...T) (T, error) {
	texts := make([]string, len(values))
	for i, v := range values {
		if T(cell) == v {
			return v, nil
		}
		texts[i] = string(v)
	}
	return "", fmt.Errorf("must be %s", strings.Join(texts, " or "))
}

func pastDate(cell string, today Date) (Date, error) {
	d, err := parseISODate(cell)
	if err == nil && d.After(today) {
		return Date{}, errors.New("is in the future")
	}
	return d, err
}

// parsePlaceCode looks at the form alone: a code that the table does not have
// may be newer than the table.
func parsePlaceCode(cell string) (string, error) {
	code := strings.ToUpper(cell)
	if !placeCode.MatchString(code) || code[1:] == "000" {
		return "", errors.New("not a Belfiore code, as in H501")
	}
	return code, nil
}

// countries are the codes of ISO 3166-1 alpha-2, and XK, by which Kosovo is
// known for want of one. Libraries also take codes that ISO has withdrawn.
const countries = " AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV " +
	" BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES " +
	" ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE " +
	" IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY " +
	" MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU " +
	" NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM " +
	" SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE " +
	" VG VI VN VU WF WS YE YT ZA ZM ZW XK "

// ParseCountry reads an ISO 3166-1 alpha-2 code, in either case.
func ParseCountry(s string) (string, error) {
	code := strings.ToUpper(strings.TrimSpace(s))
	if len(code) != 2 || !strings.Contains(countries, " "+code+" ") {
		return "", errors.New("not a country code of ISO 3166, as in DE")
	}
	return code, nil
}
