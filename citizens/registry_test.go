package citizens_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/database"
	"ente.example/idp/database/databasetest"
)

func TestNewWantsEverything(t *testing.T) {
	t.Parallel()
	if r, err := citizens.New(citizens.Deps{}); err == nil {
		t.Errorf("got %v without dependencies", r)
	}
}

func TestUnknownPeople(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		f.imports(rowMario, citizens.ImportOptions{})
		if _, err := f.registry.ByFiscalCode(f.Context(), f.code(omocode)); !errors.Is(err, citizens.ErrUnknown) {
			f.Errorf("by code: got %v", err)
		}
		for _, id := range []citizens.ID{"", "x", "018f0000-0000-7000-8000-000000000000"} {
			if _, err := f.registry.ByID(f.Context(), id); !errors.Is(err, citizens.ErrUnknown) {
				f.Errorf("by id %q: got %v", id, err)
			}
		}
		if id, found, err := f.registry.Find(f.Context(), f.code(omocode)); id != "" || found || err != nil {
			f.Errorf("find: got %q, %t, %v", id, found, err)
		}
	})
}

func TestKnownPeopleAreReadInOneStatement(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		f.imports(rowAnna+rowMario, citizens.ImportOptions{})
		counter := databasetest.Count(f.T, f.db)
		byCode := f.person(mario)
		byID, err := f.registry.ByID(f.Context(), byCode.ID)
		if err != nil || byID.FiscalCode != byCode.FiscalCode || byID.Contacts != byCode.Contacts {
			f.Errorf("by id: got %v, %v; want %v", byID, err, byCode)
		}
		if id, found, err := f.registry.Find(f.Context(), f.code(mario)); id != byCode.ID || !found || err != nil {
			f.Errorf("find: got %q, %t, %v", id, found, err)
		}
		if n := len(counter.Statements()); n != 3 {
			f.Errorf("%d statements, want 3: %v", n, counter.Statements())
		}
	})
}

// What rules are asked of is enough for each of them, and no more than that is
// known of anybody.
func TestRulesAskNoMoreThanTheyNeed(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		for _, row := range []string{
			rowMario, rowAnna,
			strings.Replace(rowMario, ",DE,no,citizen,", ",IT,no,citizen,", 1),
			strings.Replace(rowMario, ",DE,no,citizen,", ",DE,yes,citizen,", 1),
			strings.Replace(rowMario, ",DE,no,citizen,", ",DE,no,intermediary,", 1),
			strings.Replace(rowMario, ",1980-01-01,H501,", ",,,", 1),
			strings.Replace(rowMario, "@pec.example,", "@pec.example,2026-01-01", 1),
		} {
			f.imports(row, citizens.ImportOptions{})
			code, _, _ := strings.Cut(row, ",")
			id, asked, read := f.registry.AskingRules(f.code(code))
			var found string
			err := f.db.Reader(f.Context()).Together(read, database.Query{Text: "SELECT ?", Args: []any{id}, Each: func(r database.Row) error { return r.Scan(&found) }})
			if err != nil {
				f.Fatal(err)
			}
			got, err := asked.Citizen()
			whole := f.person(code)
			if err != nil || got.ID != whole.ID || found != string(whole.ID) || got.Category != whole.Category || got.FiscalCode != whole.FiscalCode {
				f.Errorf("%s: got %v, %q, %v; want %v", row, got, found, err, whole)
			}
			if got.GivenName+got.FamilyName != "" || got.HealthCard != nil || got.Contacts != (citizens.Contacts{}) {
				f.Errorf("%s: more is known than rules ask", row)
			}
			for _, profile := range []citizens.Eligibility{citizens.Open, citizens.Transition2020, citizens.Current} {
				for _, now := range []time.Time{time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), time.Now()} {
					reason, excluded := profile.Excludes(got, nil, now)
					if why, is := profile.Excludes(whole, nil, now); why != reason || is != excluded {
						f.Errorf("%s under %s: %t %q, want %t %q", row, profile, excluded, reason, is, why)
					}
				}
			}
		}
		_, asked, read := f.registry.AskingRules(f.code(omocode))
		if err := f.db.Reader(f.Context()).Together(read); err != nil {
			f.Fatal(err)
		}
		if _, err := asked.Citizen(); !errors.Is(err, citizens.ErrUnknown) {
			f.Errorf("nobody: got %v", err)
		}
	})
}

// cells reads every value of both tables as bytes.
func (f fixture) cells() []byte {
	f.Helper()
	var all bytes.Buffer
	for _, table := range []string{"citizens", "contacts"} {
		rows, err := f.db.Read(f.Context()).Table(table).Rows()
		if err != nil {
			f.Fatal(err)
		}
		names, err := rows.Columns()
		if err != nil {
			f.Fatal(err)
		}
		for rows.Next() {
			values := make([][]byte, len(names))
			into := make([]any, len(names))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				f.Fatal(err)
			}
			all.Write(bytes.Join(values, []byte("|")))
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			f.Fatal(err)
		}
	}
	return all.Bytes()
}

func TestTheDatabaseHoldsNoPersonalValueInClear(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		f.imports(rowMario, citizens.ImportOptions{})
		stored := strings.ToLower(string(f.cells()))
		if !strings.Contains(stored, "rossi") {
			f.Fatal("the test does not see the rows")
		}
		for _, secret := range []string{mario, "80380000301234567890", "4915123456789", "posta.example", "pec.example"} {
			if strings.Contains(stored, strings.ToLower(secret)) {
				f.Errorf("%s is stored in clear", secret)
			}
		}
	})
}

func TestASealedValueOpensOnlyInItsPlace(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		f.imports(rowMario+strings.Replace(rowAnna, ",,,,\n", ",+4915123456780,anna@posta.example,,\n", 1), citizens.ImportOptions{})
		victim, thief := f.person(mario).ID, f.person(anna).ID
		for name, sql := range map[string]string{
			"another person's code":    "UPDATE citizens SET fiscal_code = (SELECT fiscal_code FROM citizens WHERE id = ?) WHERE id = ?",
			"another person's contact": "UPDATE contacts SET value = (SELECT value FROM contacts WHERE citizen_id = ? AND kind = 'mobile') WHERE citizen_id = ? AND kind = 'mobile'",
		} {
			moved := errors.New("moved back")
			err := f.db.InTx(f.Context(), func(ctx context.Context) error {
				if err := f.db.Write(ctx).Exec(sql, thief, victim).Error; err != nil {
					return err
				}
				if c, err := f.registry.ByID(ctx, victim); err == nil {
					f.Errorf("%s opens as %v", name, c.Columns(true))
				}
				return moved
			})
			if !errors.Is(err, moved) {
				f.Error(err)
			}
		}
		swap := "UPDATE contacts SET value = (SELECT value FROM contacts WHERE citizen_id = ? AND kind = 'pec') WHERE citizen_id = ? AND kind = 'email'"
		if err := f.db.Write(f.Context()).Exec(swap, victim, victim).Error; err != nil {
			f.Fatal(err)
		}
		if _, err := f.registry.ByID(f.Context(), victim); err == nil {
			f.Error("a PEC address opens as an e-mail address")
		}
	})
}

func TestTheFiscalCodeKeyIsKeyed(t *testing.T) {
	t.Parallel()
	each(t, func(f fixture) {
		again := newFixture(f.T, f.db, newRing(f.T))
		key := f.registry.FiscalCodeKey(f.code(mario))
		switch {
		case len(key) != 32:
			f.Errorf("%d bytes, want 32", len(key))
		case !bytes.Equal(key, f.registry.FiscalCodeKey(f.code(" rss mra 80a01 h501 u "))):
			f.Error("one code has two keys")
		case bytes.Equal(key, f.registry.FiscalCodeKey(f.code(omocode))):
			f.Error("two codes have one key")
		case bytes.Equal(key, again.registry.FiscalCodeKey(f.code(mario))):
			f.Error("another installation has the same key")
		}
	})
}
