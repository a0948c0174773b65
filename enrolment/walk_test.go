package enrolment

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ente.example/idp/citizens"
	"ente.example/idp/credentials"
	"ente.example/idp/delivery"
)

// walker asks for PINs at random and does whatever else may happen, while rapid
// looks after every step (pin-rules §2.2, decision 12).
type walker struct {
	*applicants
	rt       *rapid.T
	cf       string
	id       citizens.ID
	tracking credentials.Code
	pin      credentials.PIN // the one in use
	visited  map[state]int
}

func TestRequestsWalk(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		visited, people := map[state]int{}, 0
		codes := []string{mario, franco, anna, samantha, "DMCGFR85M09G273S", "PPSNIO90R10Z129Z", "NCCZOE10E44D612J", "GRCJLS77B28Z600Y", "LLAGUO01D30C351B", "MRNLCU93M06H501M"}
		rapid.Check(t, func(rt *rapid.T) {
			w := &walker{applicants: a, rt: rt, cf: variant(codes, people), visited: visited}
			people++
			a.letters, a.away = nil, false
			w.id = a.person(w.cf)
			clear(a.fails)
			if people%5 == 1 { // chance alone seldom looks between an approval and its first half
				w.ask("Via Roma 1")
				w.prove()
				w.must(w.requests.Work(t.Context()))
				w.check()
			}
			rt.Repeat(map[string]func(*rapid.T){
				"":              func(*rapid.T) { w.check() },
				"ask":           func(*rapid.T) { w.ask("V. Roma, 1") },
				"ask elsewhere": func(*rapid.T) { w.ask("Via Milano 9") },
				"prove":         func(*rapid.T) { w.prove() },
				"wrong code":    func(*rapid.T) { w.wrong() },
				"work":          func(*rapid.T) { w.must(w.requests.Work(t.Context())) },
				"deliver":       func(*rapid.T) { w.delivers(nil) },
				"all at once":   func(*rapid.T) { w.ask("Via Roma 1"); w.prove(); w.works() },
				"bad half":      func(*rapid.T) { w.delivers(delivery.ErrRejected) },
				"no paper":      func(*rapid.T) { w.ask("Via Roma 1"); w.prove(); w.must(w.requests.Work(t.Context())); w.noPaper() },
				"archive":       func(*rapid.T) { w.away = !w.away },
				"posted":        func(*rapid.T) { w.report(delivery.LetterPosted) },
				"to the end":    func(*rapid.T) { w.ask("Via Roma 1"); w.prove(); w.works(); w.report(delivery.LetterPosted) },
				"taken":         func(*rapid.T) { w.ask("Via Milano 9"); w.prove(); w.works(); w.takesOne() },
				"returned":      func(*rapid.T) { w.report(delivery.LetterReturned) },
				"not arrived":   func(*rapid.T) { w.notArrived() },
				"first access":  func(*rapid.T) { w.firstAccess() },
				"revoke": func(*rapid.T) {
					w.tolerate(w.pins.Revoke(t.Context(), staff, code(w.cf), "a test"), credentials.ErrNoPIN)
				},
				"cancel": func(*rapid.T) {
					w.tolerate(w.requests.Cancel(t.Context(), staff, code(w.cf), "a test"), ErrUnknownRequest)
				},
				"withdraw":  func(*rapid.T) { w.withdraw() },
				"approve":   func(*rapid.T) { w.calls(CallApproved) },
				"reject":    func(*rapid.T) { w.calls(CallRejected) },
				"no answer": func(*rapid.T) { w.calls(NoAnswer) },
				"sweep":     func(*rapid.T) { w.must(w.pins.Sweep(t.Context())); w.must(w.requests.Sweep(t.Context())) },
				"an hour":   func(*rapid.T) { w.shift(time.Hour) },
				"days":      func(*rapid.T) { w.shift(4 * day) },
				"weeks":     func(*rapid.T) { w.shift(22 * day) },
			})
			// nobody is left behind: this telephone rings for somebody else next
			w.tolerate(w.requests.Cancel(t.Context(), staff, code(w.cf), "the end"), ErrUnknownRequest)
		})
		for _, s := range states() {
			if visited[s] == 0 {
				t.Errorf("no walk came to %s: %v", s, visited)
			}
		}
	})
}

// variant is the n-th code: omocodic ones, when the others are used up, are
// other people.
func variant(codes []string, n int) string {
	c := citizens.FiscalCode{}
	base := codes[n%len(codes)]
	for _, at := range []int{14, 13, 12, 10, 9, 7, 6} {
		if n/len(codes)>>slices.Index([]int{14, 13, 12, 10, 9, 7, 6}, at)&1 == 1 {
			base = base[:at] + string("LMNPQRSTUV"[base[at]-'0']) + base[at+1:]
		}
	}
	for letter := 'A'; letter <= 'Z'; letter++ {
		if got, err := citizens.ParseFiscalCode(base[:15] + string(letter)); err == nil {
			c = got
		}
	}
	return c.Reveal()
}

func (w *walker) tolerate(err error, refusals ...error) {
	for _, r := range refusals {
		if errors.Is(err, r) {
			return
		}
	}
	if err != nil {
		w.rt.Fatal(err)
	}
}

func (w *walker) ask(street string) {
	in := application(w.cf)
	in.Residence.Street = street
	w.forms++
	in.Contacts.Mobile = w.mobile("+39349" + threeDigits(w.forms/1000) + threeDigits(w.forms%1000) + "0")
	w.tracking = w.asks(in)
}

func threeDigits(n int) string {
	return string([]byte{byte('0' + n/100%10), byte('0' + n/10%10), byte('0' + n%10)})
}

// prove types the right code, if one was sent: beyond three requests a day none is.
func (w *walker) prove() {
	w.deliver()
	w.mu.Lock()
	sent := slices.ContainsFunc(w.letters, func(l delivery.Letter) bool {
		return l.Key == ContactCode && strings.Contains(l.Body.Reveal(), GroupCode(w.tracking))
	})
	w.mu.Unlock()
	if sent && !w.tracking.IsZero() {
		w.tolerate(w.requests.Prove(w.t.Context(), anyone, w.tracking, w.codeFor(w.tracking)), credentials.ErrCodeWrong)
	}
}

// withdraw takes the request back, if the code is sent: more than three in a day
// are not.
func (w *walker) withdraw() {
	before := len(w.sent(WithdrawalCode))
	err := w.requests.AskToWithdraw(w.t.Context(), anyone, w.tracking, code(w.cf))
	w.tolerate(err, ErrUnknownRequest)
	list := w.sent(WithdrawalCode)
	if err != nil || len(list) == before {
		return
	}
	c := credentials.ParseCode(strings.Split(list[len(list)-1].Body.Reveal(), "\n")[1])
	w.must(w.requests.Withdraw(w.t.Context(), anyone, w.tracking, code(w.cf), c))
	if got := w.progress(w.tracking, w.cf); got != ProgressClosed {
		w.rt.Fatalf("withdrawn, and the request is %s", got)
	}
}

func (w *walker) wrong() {
	w.tolerate(w.requests.Prove(w.t.Context(), anyone, w.tracking, credentials.ParseCode("00000000")), credentials.ErrCodeWrong)
}

func (w *walker) delivers(sms error) {
	w.fails[delivery.SMS] = sms
	w.shift(2 * time.Hour)
	w.deliver()
	w.fails[delivery.SMS] = nil
	w.deliver()
}

// noPaper has the first half leave and the letter wait.
func (w *walker) noPaper() {
	w.fails[delivery.Post] = errors.New("out of paper")
	w.shift(2 * time.Hour)
	w.deliver()
	w.deliver()
	delete(w.fails, delivery.Post)
}

func (w *walker) report(r delivery.Result) {
	var pin credentials.ID
	w.must(w.db.Read(w.t.Context()).Raw(`SELECT COALESCE(max(CAST(credential_id AS text)), '') FROM enrolments WHERE citizen_id = ? AND state IN ('part2_handed', 'part2_posted')`, w.id).Row().Scan(&pin))
	if pin == "" {
		return
	}
	o := delivery.Outcome{Receipt: delivery.Receipt{Key: delivery.PINHalf2, Channel: delivery.Post, Ref: string(pin)}, Result: r}
	w.tolerate(w.db.InTx(w.t.Context(), func(ctx context.Context) error { return w.requests.Outcome(ctx, o) }))
}

func (w *walker) notArrived() {
	if !w.tracking.IsZero() {
		w.tolerate(w.requests.NotArrived(w.t.Context(), anyone, w.tracking, code(w.cf)), ErrUnknownRequest)
	}
}

func (w *walker) firstAccess() {
	if w.stateOf(w.cf) != credentials.Issued || len(w.box[w.id]) < 2 {
		return
	}
	first := w.first(w.id)
	if v, err := w.try(w.cf, first); err == nil && v.MustChange {
		w.pin = w.change(w.cf, first)
	}
}

// takesOne leaves a call with its operator.
func (w *walker) takesOne() {
	_, err := w.requests.Calls().Assign(w.t.Context(), ugo, "")
	w.tolerate(err, ErrNothingDue, ErrOwnIdentity, ErrCallTaken)
}

func (w *walker) calls(how CallOutcome) {
	c, found, err := w.requests.calls.store.of(w.t.Context(), w.id)
	w.tolerate(err)
	if !found {
		return
	}
	_, err = w.requests.Calls().Assign(w.t.Context(), rita, c.ID)
	w.tolerate(err, ErrOwnIdentity, ErrCallTaken)
	if err == nil {
		w.tolerate(w.requests.Calls().Close(w.t.Context(), rita, c.ID, how, "a test"), credentials.ErrLive, credentials.ErrPending, ErrNotYours, ErrArchiveAway)
	}
}

// check is what must be so after every step, whoever did what.
func (w *walker) check() {
	for what, n := range map[string]int{
		"live PINs":                 w.count("credentials WHERE citizen_id = ? AND state IN ('issued', 'active')", w.id) - 1,
		"open requests":             w.count("enrolments WHERE citizen_id = ? AND state IN "+openRequests, w.id) - 1,
		"open calls":                w.count("callbacks WHERE citizen_id = ? AND state <> 'closed'", w.id) - 1,
		"requests without a time":   w.count("enrolments WHERE due_at IS NULL AND ended_at IS NULL"),
		"ended requests with words": w.count("enrolments WHERE ended_at IS NOT NULL AND data IS NOT NULL"),
		"calls without their state": w.count("enrolments AS e WHERE e.state IN ('call_queued', 'calling') AND NOT EXISTS (SELECT 1 FROM callbacks AS c WHERE c.citizen_id = e.citizen_id AND c.state <> 'closed')"),
	} {
		if n > 0 {
			w.rt.Fatalf("%s: %d too many", what, n)
		}
	}
	w.mu.Lock()
	for _, l := range w.letters {
		if l.Key == delivery.PINHalf1 && l.Channel != delivery.SMS || l.Key == delivery.PINHalf2 && l.Channel != delivery.Post {
			w.rt.Fatalf("%s went by %s", l.Key, l.Channel)
		}
	}
	w.mu.Unlock()
	var states []state
	w.must(w.db.Read(w.t.Context()).Raw(`SELECT DISTINCT state FROM enrolments`).Scan(&states).Error)
	for _, s := range states {
		w.visited[s]++
	}
}
