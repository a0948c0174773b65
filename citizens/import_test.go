package citizens_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
	"ente.example/idp/secrets"
)

// header is the citizens CSV's, to the letter of the contract.
const header = "fiscal_code,given_name,family_name,sex,birth_date,birth_place,residence_street,residence_postal_code," +
	"residence_locality,residence_region,residence_country,italian_document,category,health_card_number,health_card_expiry," +
	"mobile,email,pec,deceased_on\n"

const (
	mario   = "RSSMRA80A01H501U"
	omocode = "RSSMRA80A01H50MM" // somebody else, born as Mario was
	anna    = "BNCNMR72H55F839M"

	rowMario = mario + ",Mario,Rossi,M,1980-01-01,H501,Hauptstraße 1,10115,Berlin,,DE,no,citizen,80380000301234567890,2030-01-01," +
		"+4915123456789,Mario.Rossi@Posta.Example,mario@pec.example,\n"
	rowAnna = anna + ",Anna Maria,Bianchi,,,,,,,,,,,,,,,,\n"
)

type fixture struct {
	*testing.T
	db       *database.DB
	registry *citizens.Registry
}

func newRing(t *testing.T) *secrets.Ring {
	t.Helper()
	ring, err := secrets.New()
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func newFixture(t *testing.T, db *database.DB, ring *secrets.Ring) fixture {
	t.Helper()
	return withIndex(t, db, ring, ring.PRF(secrets.CitizensIndex))
}

func withIndex(t *testing.T, db *database.DB, ring *secrets.Ring, index *prf.Set) fixture {
	t.Helper()
	r, err := citizens.New(citizens.Deps{DB: db, Seal: ring.AEAD(secrets.CitizensSeal), Index: index})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{t, db, r}
}

func each(t *testing.T, fn func(f fixture)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *database.DB) { fn(newFixture(t, db, newRing(t))) })
}

func (f fixture) imports(rows string, o citizens.ImportOptions) citizens.ImportReport {
	f.Helper()
	report, err := f.registry.Import(f.Context(), strings.NewReader(header+rows), o)
	if err != nil {
		f.Fatalf("import: %v %v", err, report.Bad)
	}
	return report
}

func (f fixture) code(s string) citizens.FiscalCode {
	f.Helper()
	code, err := citizens.ParseFiscalCode(s)
	if err != nil {
		f.Fatal(err)
	}
	return code
}

func (f fixture) person(code string) citizens.Citizen {
	f.Helper()
	c, err := f.registry.ByFiscalCode(f.Context(), f.code(code))
	if err != nil {
		f.Fatal(err)
	}
	return c
}

func (f fixture) columns(code string) map[string]string {
	f.Helper()
	columns := map[string]string{}
	for _, c := range f.person(code).Columns(true) {
		columns[c.Name] = c.Value
	}
	return columns
}

func (f fixture) people() (n int) {
	f.Helper()
	if err := f.db.Read(f.Context()).Raw("SELECT count(*) FROM citizens").Scan(&n).Error; err != nil {
		f.Fatal(err)
	}
	return n
}

func TestImportedPeopleAreWhatTheFileSays(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		report := f.imports(rowMario+rowAnna, citizens.ImportOptions{})
		if diff := cmp.Diff(citizens.ImportReport{Imported: 2}, report, cmpopts.EquateEmpty()); diff != "" {
			f.Errorf("(-want +got)\n%s", diff)
		}
		c := f.person(mario)
		got := f.columns(mario)
		want := map[string]string{
			"id": string(c.ID), "fiscal_code": mario, "given_name": "Mario", "family_name": "Rossi", "sex": "M",
			"birth_date": "1980-01-01", "birth_place": "H501", "residence_street": "Hauptstraße 1",
			"residence_postal_code": "10115", "residence_locality": "Berlin", "residence_region": "", "residence_country": "DE",
			"italian_document": "no", "category": "citizen", "health_card_number": "80380000301234567890",
			"health_card_expiry": "2030-01-01", "mobile": "+4915123456789", "email": "Mario.Rossi@posta.example",
			"pec": "mario@pec.example", "deceased_on": "",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			f.Errorf("(-want +got)\n%s", diff)
		}
		for _, kind := range citizens.ContactKinds() {
			if !c.Contacts.Of(kind).Verified {
				f.Errorf("the imported %s does not count at once", kind)
			}
		}
		if c.CreatedAt.IsZero() || c.CreatedAt != c.UpdatedAt || c.DeceasedOn != nil {
			f.Errorf("created %v, updated %v, deceased %v", c.CreatedAt, c.UpdatedAt, c.DeceasedOn)
		}
		if a := f.person(anna); a.Category != citizens.Ordinary || a.ItalianDocument || a.HealthCard != nil || !a.Contacts.IsZero() || !a.BirthDate.IsZero() {
			f.Errorf("what a file does not say is not the default: %v", a.Columns(true))
		}
	})
}

func TestMaskedColumnsShowNothingSealed(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		f.imports(rowMario, citizens.ImportOptions{})
		var names []string
		masked := map[string]string{}
		for _, c := range f.person(mario).Columns(false) {
			names = append(names, c.Name)
			masked[c.Name] = c.Value
		}
		if got := strings.Join(names, ","); got != "id,"+strings.TrimSpace(header) {
			f.Errorf("columns are %s", got)
		}
		for name, want := range map[string]string{
			"fiscal_code": "RSS************U", "mobile": "+49 *** *** 67 89", "email": "M***@p***.example", "pec": "m***@p***.example",
			"health_card_number": "****************7890", "health_card_expiry": "****-**-**", "family_name": "Rossi",
		} {
			if masked[name] != want {
				f.Errorf("%s is shown as %q, want %q", name, masked[name], want)
			}
		}
	})
}

func TestAnEmptyCellLeavesTheValue(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		f.imports(rowMario, citizens.ImportOptions{})
		before, born := f.columns(mario), f.person(mario)
		report := f.imports(mario+",,,,,,,,,,FR,yes,intermediary,,2031-02-03,,new@posta.example,,\n", citizens.ImportOptions{})
		if report.Imported != 0 || report.Updated != 1 {
			f.Errorf("imported %d, updated %d; want 0, 1", report.Imported, report.Updated)
		}
		before["residence_country"], before["italian_document"], before["category"] = "FR", "yes", "intermediary"
		before["health_card_expiry"], before["email"] = "2031-02-03", "new@posta.example"
		if diff := cmp.Diff(before, f.columns(mario)); diff != "" {
			f.Errorf("(-want +got)\n%s", diff)
		}
		if after := f.person(mario); after.CreatedAt != born.CreatedAt || after.UpdatedAt.Before(born.UpdatedAt) {
			f.Errorf("created %v then %v, updated %v then %v", born.CreatedAt, after.CreatedAt, born.UpdatedAt, after.UpdatedAt)
		}
		f.imports(mario+",,,,,,,,,,,,,,,,,,\n", citizens.ImportOptions{})
		if diff := cmp.Diff(before, f.columns(mario)); diff != "" {
			f.Errorf("a row of nothing changed something (-want +got)\n%s", diff)
		}
	})
}

func TestColumnsMayComeInAnyOrderAndBeLeftOut(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		file := "\ufeffemail, family_name ,given_name,fiscal_code\r\n" +
			"mario@posta.example,\"Rossi, detto \"\"il\"\" Rosso\", Mario ,rss mra 80a01 h501 u\r\n"
		report, err := f.registry.Import(f.Context(), strings.NewReader(file), citizens.ImportOptions{})
		if err != nil || report.Imported != 1 {
			f.Fatalf("got %+v, %v", report, err)
		}
		got := f.columns(mario)
		if got["given_name"] != "Mario" || got["family_name"] != `Rossi, detto "il" Rosso` || got["email"] != "mario@posta.example" {
			f.Errorf("imported as %v", got)
		}
	})
}

func TestOmocodicCodesAreTwoPeople(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		f.imports(rowMario+omocode+",Maria,Rossi,,,,,,,,,,,,,,,,\n12345670017,Li,Wei,,,,,,,,,,,,,,,,\n", citizens.ImportOptions{})
		if f.person(mario).ID == f.person(omocode).ID {
			f.Error("an omocodic code finds another person")
		}
		if got := f.person("12345670017").GivenName; got != "Li" {
			f.Errorf("the provisional code finds %q", got)
		}
	})
}

func TestAPersonTwiceInAFileIsAddedThenUpdated(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		report := f.imports(rowMario+mario+",Marius,,,,,,,,,,,,,,,,,\n", citizens.ImportOptions{})
		if report.Imported != 1 || report.Updated != 1 || f.people() != 1 {
			f.Errorf("imported %d, updated %d, people %d; want 1 each", report.Imported, report.Updated, f.people())
		}
		if got := f.columns(mario); got["given_name"] != "Marius" || got["family_name"] != "Rossi" {
			f.Errorf("the person is %v", got)
		}
	})
}

func TestADeathIsFollowedInTheSameTransaction(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		f.imports(rowMario+rowAnna, citizens.ImportOptions{})
		var dead []citizens.ID
		refusal := errors.New("no")
		options := citizens.ImportOptions{Deceased: func(ctx context.Context, id citizens.ID) error {
			if !database.Inside(ctx) {
				f.Error("no transaction is open")
			}
			dead = append(dead, id)
			return refusal
		}}
		rows := mario + ",,,,,,,,,,,,,,,,,,2026-01-02\n"
		if _, err := f.registry.Import(f.Context(), strings.NewReader(header+rows), options); !errors.Is(err, refusal) {
			f.Errorf("got %v, want the hook's error", err)
		}
		if f.person(mario).DeceasedOn != nil {
			f.Error("the death is recorded though its consequences failed")
		}
		refusal = nil
		for range 2 { // the second time it is no news
			f.imports(rows+rowAnna, options)
		}
		want := []citizens.ID{f.person(mario).ID, f.person(mario).ID}
		if diff := cmp.Diff(want, dead); diff != "" {
			f.Errorf("(-want +got)\n%s", diff)
		}
		if d := f.person(mario).DeceasedOn; d == nil || d.String() != "2026-01-02" {
			f.Errorf("deceased on %v", d)
		}
	})
}

func TestAnImportIsRecordedInItsTransaction(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		refusal := errors.New("no")
		var recorded []citizens.ImportReport
		options := citizens.ImportOptions{SkipBad: true, Record: func(ctx context.Context, r citizens.ImportReport) error {
			if !database.Inside(ctx) {
				f.Error("no transaction is open")
			}
			recorded = append(recorded, r)
			return refusal
		}}
		if _, err := f.registry.Import(f.Context(), strings.NewReader(header+rowMario), options); !errors.Is(err, refusal) || f.people() != 0 {
			f.Errorf("got %v and %d people, want the hook's error and none", err, f.people())
		}
		refusal = nil
		f.imports(rowMario+rowAnna, options)
		f.imports("", options) // nothing imported, nothing to record
		f.imports(badRows[0].row+"\n", options)
		if want := []citizens.ImportReport{{Imported: 1}, {Imported: 2}}; !cmp.Equal(want, recorded, cmpopts.EquateEmpty()) {
			f.Errorf("recorded %v, want %v", recorded, want)
		}
	})
}

// manyRows writes n people with made-up but right codes, in one order or the other.
func manyRows(n int, backwards bool) string {
	rows := make([]string, n)
	for i := range n {
		at := i
		if backwards {
			at = n - 1 - i
		}
		rows[at] = fmt.Sprintf("%s,Nome %d,Cognome,,,,,,,,,,,,,+39340%07d,p%d@posta.example,,\n", numbered(i), i, i, i)
	}
	return strings.Join(rows, "")
}

// numbered returns the provisional code with a serial number.
func numbered(i int) string {
	for check := range 10 {
		code := fmt.Sprintf("%07d123%d", i, check)
		if _, err := citizens.ParseFiscalCode(code); err == nil {
			return code
		}
	}
	panic("no check digit is right")
}

func TestConcurrentImportsOfTheSamePeople(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		ring := newRing(t)
		nodes := []fixture{newFixture(t, a, ring), newFixture(t, b, ring)}
		const people, imports = 700, 6
		reports := make([]citizens.ImportReport, imports)
		databasetest.Barrier(imports, func(i int) {
			var err error
			file := strings.NewReader(header + manyRows(people, i%2 == 1))
			if reports[i], err = nodes[i%2].registry.Import(t.Context(), file, citizens.ImportOptions{}); err != nil {
				t.Errorf("import %d: %v", i, err)
			}
		})
		imported, updated := 0, 0
		for _, r := range reports {
			imported, updated = imported+r.Imported, updated+r.Updated
		}
		if imported != people || updated != people*(imports-1) || nodes[0].people() != people {
			t.Errorf("imported %d, updated %d, people %d; want %d, %d, %d",
				imported, updated, nodes[0].people(), people, people*(imports-1), people)
		}
		if got := nodes[1].columns(numbered(699)); got["mobile"] != "+393400000699" || got["given_name"] != "Nome 699" {
			t.Errorf("the last one is %v", got)
		}
	})
}

func TestALargeFileIsWrittenInBatches(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		counter := databasetest.Count(f.T, f.db)
		f.imports(manyRows(1200, false), citizens.ImportOptions{})
		if n, commits := len(counter.Statements()), counter.Commits(); n > 12 || commits != 1 {
			f.Errorf("%d statements and %d commits for 1,200 people, want 12 at most and 1", n, commits)
		}
		if n := f.people(); n != 1200 {
			f.Errorf("%d people, want 1,200", n)
		}
	})
}

// rotated returns the index before and after a new key became its primary.
func rotated(t *testing.T) (before, after *prf.Set) {
	t.Helper()
	m := keyset.NewManager()
	sets := make([]*prf.Set, 2)
	for i := range sets {
		id, err := m.Add(prf.HMACSHA256PRFKeyTemplate())
		if err != nil {
			t.Fatal(err)
		}
		if err := m.SetPrimary(id); err != nil {
			t.Fatal(err)
		}
		h, err := m.Handle()
		if err != nil {
			t.Fatal(err)
		}
		if sets[i], err = prf.NewPRFSet(h); err != nil {
			t.Fatal(err)
		}
	}
	return sets[0], sets[1]
}

func TestPeopleAreFoundAfterTheIndexKeyWasRotated(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ring := newRing(t)
		before, after := rotated(t)
		old, young := withIndex(t, db, ring, before), withIndex(t, db, ring, after)
		old.imports(rowMario, citizens.ImportOptions{})
		if young.person(mario).ID != old.person(mario).ID {
			t.Error("the person changed")
		}
		if r := young.imports(mario+",Marius,,,,,,,,,,,,,,,,,\n"+rowMario, citizens.ImportOptions{}); r.Updated != 2 || young.people() != 1 {
			t.Errorf("updated %d, people %d; want 2, 1", r.Updated, young.people())
		}
		if _, found, err := old.registry.Find(t.Context(), old.code(mario)); found || err != nil {
			t.Errorf("the import kept the old key (%t, %v)", found, err)
		}
	})
}

func TestNobodyElseWaitsForAnImport(t *testing.T) {
	t.Parallel()
	databasetest.Two(t, func(t *testing.T, a, b *database.DB) {
		ring := newRing(t)
		importer, other := newFixture(t, a, ring), newFixture(t, b, ring)
		importer.imports(rowMario+rowAnna, citizens.ImportOptions{})
		id := other.person(anna).ID
		meanwhile := func(ctx context.Context, _ citizens.ImportReport) error {
			if got := other.person(anna); got.GivenName != "Anna Maria" {
				t.Errorf("a reader sees %q before the import has ended", got.GivenName)
			}
			if b.Dialect() == database.SQLite {
				return nil // one writer
			}
			// What refers to a person, as a PIN does, can be written beside.
			return b.Write(ctx).Exec("INSERT INTO contacts (citizen_id, kind, value_key, value, verified, created_at, updated_at)"+
				" VALUES (?, 'pec', 'x', 'x', false, ?, ?)", id, b.NowExpr(), b.NowExpr()).Error
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		file := strings.NewReader(header + anna + ",Annamaria,,,,,,,,,,,,,,,,,\n")
		if _, err := importer.registry.Import(ctx, file, citizens.ImportOptions{Record: meanwhile}); err != nil {
			t.Error(err)
		}
		var name string
		if err := b.Read(ctx).Raw("SELECT given_name FROM citizens WHERE id = ?", id).Scan(&name).Error; err != nil || name != "Annamaria" {
			t.Errorf("afterwards the name is %q, %v", name, err)
		}
	})
}

// An import that brings another residence is remembered by its day; the first
// one, and one that only writes the same house otherwise, is not.
func TestAChangeOfResidenceIsRemembered(t *testing.T) {
	each(t, func(f fixture) {
		home := func(street string) {
			f.imports("RSSMRA80A01H501U,Mario,Rossi,M,1980-01-01,H501,"+street+",00185,Roma,RM,IT,no,citizen,,,,,,\n", citizens.ImportOptions{})
		}
		for _, street := range []string{"Via Roma 1", "Via Roma 1", "V. Roma n. 1", ""} {
			home(street)
			if at := f.person("RSSMRA80A01H501U").ResidenceChangedAt; at != nil {
				f.Fatalf("after %q the residence has changed at %s", street, at)
			}
		}
		home("Via Milano 9")
		moved := f.person("RSSMRA80A01H501U").ResidenceChangedAt
		if moved == nil {
			f.Fatal("another street is no change")
		}
		home("V. Milano n. 9")
		if again := f.person("RSSMRA80A01H501U").ResidenceChangedAt; again == nil || !again.Equal(*moved) {
			f.Errorf("the change has moved from %s to %s", moved, again)
		}
	})
}
