package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"

	"ente.example/idp/bench/driver"
)

// citizen is somebody who exists for the measurement.
type citizen struct {
	Code   string `json:"fiscal_code"`
	Given  string `json:"given_name"`
	Family string `json:"family_name"`
	Email  string `json:"email"`
	Mobile string `json:"mobile"`
	PIN    string `json:"pin"` // for those who are not sent one
}

// crowd makes n people, born on as many days.
func crowd(n int) []citizen {
	people := make([]citizen, n)
	for i := range people {
		year, month, day := 60+i/336, i/28%12, i%28+1
		code := fmt.Sprintf("RSSMRA%02d%c%02dH501", year, "ABCDEHLMPRST"[month], day)
		people[i] = citizen{
			Code: code + checkCharacter(code), Given: "Mario", Family: "Rossi", PIN: fmt.Sprintf("%08d", 13572468+i),
			Email: fmt.Sprintf("persona%d@posta.example", i), Mobile: fmt.Sprintf("+39320%07d", i),
		}
	}
	return people
}

// checkCharacter is the sixteenth of a codice fiscale (decree of 23 December
// 1976): characters at odd places count by a table, the others as they are.
func checkCharacter(code string) string {
	odd := [26]int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}
	sum := 0
	for i, c := range code {
		n := int(c - 'A')
		if c <= '9' {
			n = int(c - '0')
		}
		if i%2 == 0 {
			n = odd[n]
		}
		sum += n
	}
	return string(rune('A' + sum%26))
}

// birth is the date in a code of crowd.
func (c citizen) birth() string {
	month := strings.IndexByte("ABCDEHLMPRST", c.Code[8]) + 1
	return fmt.Sprintf("19%s-%02d-%s", c.Code[6:8], month, c.Code[9:11])
}

// table is people as `idp citizens import` reads them.
func table(people []citizen) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"fiscal_code", "given_name", "family_name", "sex", "birth_date", "birth_place", "residence_street",
		"residence_postal_code", "residence_locality", "residence_country", "mobile", "email"})
	for _, p := range people {
		_ = w.Write([]string{p.Code, p.Given, p.Family, "M", p.birth(), "H501", "Leopoldstraße 12", "80802", "München", "DE", p.Mobile, p.Email})
	}
	w.Flush()
	return b.Bytes()
}

// typed is what everybody types into the pages of floor and peer.
func typed(people []citizen) []driver.Person {
	list := make([]driver.Person, len(people))
	for i, p := range people {
		list[i] = driver.Person{"fiscal_code": p.Code, "pin": p.PIN, "answer": "allow"}
	}
	return list
}
