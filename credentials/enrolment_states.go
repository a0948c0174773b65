package credentials

import (
	"errors"
	"slices"
	"time"

	"ente.example/idp/citizens"
)

// EnrolmentState is where a request stands (pin-rules §2.2).
type EnrolmentState string

// The states. What pin-rules calls DRAFT is in the browser only, RETURNED and
// DELIVERY_FAILED are events that end in CALL_QUEUED, UNREACHABLE one that ends
// in EXPIRED.
const (
	RequestSubmitted   EnrolmentState = "submitted"
	RequestChecking    EnrolmentState = "checking"
	RequestCallQueued  EnrolmentState = "call_queued"
	RequestCalling     EnrolmentState = "calling"
	RequestApproved    EnrolmentState = "approved"
	RequestPart1Sent   EnrolmentState = "part1_sent"
	RequestPart2Handed EnrolmentState = "part2_handed"
	RequestPart2Posted EnrolmentState = "part2_posted"
	RequestCompleted   EnrolmentState = "completed"
	RequestRejected    EnrolmentState = "rejected"
	RequestExpired     EnrolmentState = "expired"
	RequestCancelled   EnrolmentState = "cancelled"
)

// transitions are the arrows of pin-rules §2.2: what a state may become.
// Every UPDATE of a request goes along one of them.
func transitions(s EnrolmentState) []EnrolmentState {
	switch s {
	case RequestSubmitted:
		return []EnrolmentState{RequestChecking, RequestExpired, RequestCancelled}
	case RequestChecking:
		return []EnrolmentState{RequestApproved, RequestCallQueued, RequestRejected, RequestExpired, RequestCancelled}
	case RequestCallQueued:
		return []EnrolmentState{RequestCalling, RequestExpired, RequestCancelled}
	case RequestCalling:
		return []EnrolmentState{RequestCallQueued, RequestChecking, RequestRejected, RequestExpired, RequestCancelled}
	case RequestApproved:
		return []EnrolmentState{RequestPart1Sent, RequestCallQueued, RequestCancelled}
	case RequestPart1Sent:
		return []EnrolmentState{RequestPart2Handed, RequestCallQueued, RequestCancelled}
	case RequestPart2Handed:
		return []EnrolmentState{RequestPart2Posted, RequestCompleted, RequestChecking, RequestCallQueued, RequestExpired, RequestCancelled}
	case RequestPart2Posted:
		return []EnrolmentState{RequestCompleted, RequestChecking, RequestCallQueued, RequestExpired, RequestCancelled}
	case RequestCompleted, RequestRejected, RequestExpired, RequestCancelled:
	}
	return nil
}

// from are the states that may become another one.
func from(to EnrolmentState) []EnrolmentState {
	var list []EnrolmentState
	for _, s := range enrolmentStates() {
		if slices.Contains(transitions(s), to) {
			list = append(list, s)
		}
	}
	return list
}

func enrolmentStates() []EnrolmentState {
	return []EnrolmentState{
		RequestSubmitted, RequestChecking, RequestCallQueued, RequestCalling, RequestApproved, RequestPart1Sent,
		RequestPart2Handed, RequestPart2Posted, RequestCompleted, RequestRejected, RequestExpired, RequestCancelled,
	}
}

// final reports whether a request is over.
func (s EnrolmentState) final() bool { return len(transitions(s)) == 0 }

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
	whyNotArrived  = "the halves did not arrive again"
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
	case c.sendable != nil && errors.Is(c.sendable, ErrNoAddress):
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
	}
	return ruledApprove, ""
}

// postal is how long a letter to somebody's home may take.
func (p EnrolmentPolicy) postal(home citizens.Address) time.Duration {
	if home.Country == "IT" || home.Country == "" {
		return p.PostItaly
	}
	return p.PostAbroad
}
