package enrolment

import (
	"errors"
	"slices"

	"ente.example/idp/credentials"
)

// state is where a request stands (pin-rules §2.2).
type state string

// The states. What pin-rules calls DRAFT is in the browser only, RETURNED and
// DELIVERY_FAILED are events that end in CALL_QUEUED, UNREACHABLE one that ends
// in EXPIRED.
const (
	submitted   state = "submitted"
	checking    state = "checking"
	callQueued  state = "call_queued"
	calling     state = "calling"
	approved    state = "approved"
	part1Sent   state = "part1_sent"
	part2Handed state = "part2_handed"
	part2Posted state = "part2_posted"
	completed   state = "completed"
	rejected    state = "rejected"
	expired     state = "expired"
	cancelled   state = "cancelled"
)

// transitions are the arrows of pin-rules §2.2: what a state may become.
// Every UPDATE of a request goes along one of them.
func transitions(s state) []state {
	switch s {
	case submitted:
		return []state{checking, expired, cancelled}
	case checking:
		return []state{approved, callQueued, rejected, expired, cancelled}
	case callQueued:
		return []state{calling, expired, cancelled}
	case calling:
		return []state{callQueued, checking, rejected, expired, cancelled}
	case approved:
		return []state{part1Sent, callQueued, cancelled}
	case part1Sent:
		return []state{part2Handed, callQueued, cancelled}
	case part2Handed:
		return []state{part2Posted, completed, checking, callQueued, expired, cancelled}
	case part2Posted:
		return []state{completed, checking, callQueued, expired, cancelled}
	case completed, rejected, expired, cancelled:
	}
	return nil
}

// from are the states that may become another one.
func from(to state) []state {
	var list []state
	for _, s := range states() {
		if slices.Contains(transitions(s), to) {
			list = append(list, s)
		}
	}
	return list
}

func states() []state {
	return []state{
		submitted, checking, callQueued, calling, approved, part1Sent,
		part2Handed, part2Posted, completed, rejected, expired, cancelled,
	}
}

// final reports whether a request is over.
func (s state) final() bool { return len(transitions(s)) == 0 }

// Why a request was rejected or goes to the contact centre, for the audit, the
// contact centre and the words of a notice.
const (
	whyUnknown     = "unknown person"
	whyExcluded    = "not eligible"
	whyMinor       = "under age"
	whyHasPIN      = "has a PIN"
	whyPending     = "a PIN is on its way"
	whyOpen        = "another request is open"
	whyData        = "data differ from the codice fiscale"
	whyAddress     = "address differs from the archive"
	whyAbroad      = "resident abroad"
	whyNoAddress   = "no address in the archive"
	whyNoPost      = "the post is off"
	whyArchive     = "the archive did not answer"
	whyReturned    = "the letter came back"
	whyUndelivered = "a half could not be delivered"
	whyNotArrived  = "the halves did not arrive"
	whyLetter      = "a letter has left lately"
	whyMoved       = "the residence has changed lately"
)

// checked is what is known about a request when it is decided about.
type checked struct {
	known       bool // the person
	excluded    bool // by the eligibility profile
	minor       bool
	live        bool // a PIN, or one on its way
	pending     bool
	mismatch    bool // declared data and codice fiscale
	vouched     bool // an operator has identified the person
	unavailable bool // the archive
	abroad      bool // declared or in the archive
	sendable    error
	same        bool // the address
	letter      bool // one has left for the person lately
	moved       bool // the registry has learnt of another residence lately
}

// ruling is what becomes of a request.
type ruling string

const (
	ruledApprove ruling = "approve"
	ruledCall    ruling = "call"
	ruledReject  ruling = "reject"
	ruledAgain   ruling = "again"
)

// decide is R13 to R15, R7 and R19. A person who must not have a PIN gets none
// however right the rest is; an archive that does not answer approves nobody.
func (c checked) decide() (ruling, string) {
	switch {
	case !c.known:
		return ruledReject, whyUnknown
	case c.live:
		return ruledReject, whyHasPIN
	case c.pending:
		return ruledReject, whyPending
	case c.excluded:
		return ruledReject, whyExcluded
	case c.minor:
		return ruledReject, whyMinor
	case c.unavailable:
		return ruledAgain, whyArchive
	case c.sendable != nil && errors.Is(c.sendable, credentials.ErrNoAddress):
		return ruledCall, whyNoAddress
	case c.sendable != nil:
		return ruledCall, whyNoPost
	case c.vouched:
		return ruledApprove, ""
	case c.mismatch:
		return ruledCall, whyData
	case c.abroad:
		return ruledCall, whyAbroad
	case !c.same:
		return ruledCall, whyAddress
	case c.moved:
		return ruledCall, whyMoved
	case c.letter:
		return ruledCall, whyLetter
	}
	return ruledApprove, ""
}
