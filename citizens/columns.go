package citizens

// The columns of the citizens CSV, and with id those of a person shown.
const (
	colFiscalCode = "fiscal_code"
	colGivenName  = "given_name"
	colFamilyName = "family_name"
	colSex        = "sex"
	colBirthDate  = "birth_date"
	colBirthPlace = "birth_place"
	colStreet     = "residence_street"
	colPostalCode = "residence_postal_code"
	colLocality   = "residence_locality"
	colRegion     = "residence_region"
	colCountry    = "residence_country"
	colDocument   = "italian_document"
	colCategory   = "category"
	colCardNumber = "health_card_number"
	colCardExpiry = "health_card_expiry"
	colMobile     = "mobile"
	colEmail      = "email"
	colPEC        = "pec"
	colDeceasedOn = "deceased_on"
	documentYes   = "yes"
	documentNo    = "no"
	maskedDate    = "****-**-**"
)

// CSVColumns lists the columns of the citizens CSV in their order.
func CSVColumns() []string {
	return []string{
		colFiscalCode, colGivenName, colFamilyName, colSex, colBirthDate, colBirthPlace,
		colStreet, colPostalCode, colLocality, colRegion, colCountry,
		colDocument, colCategory, colCardNumber, colCardExpiry,
		colMobile, colEmail, colPEC, colDeceasedOn,
	}
}

// Column is one named value of a person, as text.
type Column struct{ Name, Value string }

// Columns returns the person as id and the CSV's columns, in order; what is not
// known is empty. Unless reveal is set, what the database seals (codice
// fiscale, contacts, health card) is masked. Revealing is the caller's to
// record.
func (c Citizen) Columns(reveal bool) []Column {
	columns := []Column{{"id", string(c.ID)}}
	for _, name := range CSVColumns() {
		columns = append(columns, Column{name, c.column(name, reveal)})
	}
	return columns
}

func (c Citizen) column(name string, reveal bool) string {
	switch name {
	case colFiscalCode:
		return shown(c.FiscalCode, reveal)
	case colGivenName:
		return c.GivenName
	case colFamilyName:
		return c.FamilyName
	case colSex:
		return string(c.Sex)
	case colBirthDate:
		return c.BirthDate.String()
	case colBirthPlace:
		return c.BirthPlace
	case colDocument:
		return yesNo(c.ItalianDocument)
	case colCategory:
		return string(c.Category)
	case colCardNumber, colCardExpiry:
		return c.HealthCard.column(name, reveal)
	case colMobile, colEmail, colPEC:
		return shown(c.Contacts.Of(ContactKind(name)).Value, reveal)
	case colDeceasedOn:
		if c.DeceasedOn != nil {
			return c.DeceasedOn.String()
		}
		return ""
	}
	return c.Residence.column(name)
}

func (a Address) column(name string) string {
	switch name {
	case colStreet:
		return a.Street
	case colPostalCode:
		return a.PostalCode
	case colLocality:
		return a.Locality
	case colRegion:
		return a.Region
	case colCountry:
		return a.Country
	}
	return ""
}

// column masks the expiry too: with the number it proves who one is.
func (h *HealthCard) column(name string, reveal bool) string {
	switch {
	case h == nil:
		return ""
	case name == colCardNumber:
		return shown(h.Number, reveal)
	case reveal || h.Expiry.IsZero():
		return h.Expiry.String()
	}
	return maskedDate
}

// personal is a value that is shown masked or, on purpose, whole.
type personal interface {
	Reveal() string
	Masked() string
}

func shown(v personal, reveal bool) string {
	if reveal {
		return v.Reveal()
	}
	return v.Masked()
}

func yesNo(b bool) string {
	if b {
		return documentYes
	}
	return documentNo
}
