package enrolment

import (
	"context"
	"testing"

	"ente.example/idp/citizens"
	"ente.example/idp/delivery"
)

// pin-rules §4.11: whoever gives an ordinary address for a PEC is told there,
// by ordinary mail, when the provider says so; a real PEC is not.
func TestAddressThatIsNoPEC(t *testing.T) {
	eachApplicants(t, func(t *testing.T, a *applicants) {
		a.person(mario)
		in := application(mario)
		pec, err := citizens.ParseContact(citizens.PEC, "io@ordinaria.example")
		a.must(err)
		in.Contacts.PEC, in.Channel = citizens.Contact{Value: pec}, delivery.PEC
		tracking := a.asks(in)
		a.went(ContactCode, 1)
		var id string
		a.must(a.db.Read(t.Context()).Raw(`SELECT CAST(id AS text) FROM enrolments WHERE tracking_key IN ?`, a.requests.trackingKeys(tracking)).Row().Scan(&id))
		receipt := func(result delivery.Result, uncertified bool) {
			t.Helper()
			o := delivery.Outcome{Receipt: delivery.Receipt{Key: ContactCode, Channel: delivery.PEC, Ref: id}, Result: result, Uncertified: uncertified}
			a.must(a.db.InTx(t.Context(), func(ctx context.Context) error { return a.requests.Outcome(ctx, o) }))
		}
		receipt(delivery.PECAccepted, false)
		receipt(delivery.PECDelivered, false)
		a.went(NoticeNoPEC, 0)
		receipt(delivery.PECAccepted, true)
		if told := a.went(NoticeNoPEC, 1); told[0].Channel != delivery.Email || told[0].To.Reveal() != "io@ordinaria.example" {
			t.Errorf("told by %s", told[0].Channel)
		}
	})
}
