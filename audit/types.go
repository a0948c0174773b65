package audit

// Type names what happened. Outsiders search for these: add, never rename.
type Type string

// The events, by the room that records them.
const (
	SignIn          Type = "sign-in"         // a try with codice fiscale and PIN
	SignInUnknown   Type = "sign-in.unknown" // how many tries at unknown people in a minute
	PINLocked       Type = "pin.locked"      // the wait of R30 and R31 began
	PINIssued       Type = "pin.generated"   // both halves made and queued
	PINDelivered    Type = "pin.delivered"   // both halves handed over
	PINDiscarded    Type = "pin.discarded"   // a half could not be handed over
	PINChangeOpened Type = "pin.change-opened"
	PINCandidate    Type = "pin.candidate" // a new PIN was generated and shown
	PINChanged      Type = "pin.changed"   // rules of use acknowledged with it
	PINChangeEnded  Type = "pin.change-ended"
	PINSuspended    Type = "pin.suspended"
	PINResumed      Type = "pin.resumed"
	PINRevoked      Type = "pin.revoked"
	PINExpired      Type = "pin.expired"
	PINDismissal    Type = "pin.dismissal" // its owner is no longer eligible; it ends at Details["until"]
	PINDismissed    Type = "pin.dismissed"
	PINReadmitted   Type = "pin.readmitted"
	PINInactive     Type = "pin.inactive" // not used for too long

	// What is asked for without a PIN at hand; Details["procedure"] says what.
	ProcedureReceived  Type = "procedure.received"
	ProcedureMailed    Type = "procedure.mailed" // the code is on its way
	ProcedureCodeWrong Type = "procedure.code-wrong"
	ProcedureConfirmed Type = "procedure.confirmed"
	ProcedurePartsSent Type = "procedure.parts-sent" // both parts of a new PIN have left
	ProcedureEnded     Type = "procedure.ended"      // Reason says how
	NoticeReported     Type = "notice.reported"      // "that was not me"

	// A request for a first PIN, and the calls that the contact centre owes.
	RequestSubmitted Type = "enrolment.submitted"
	RequestCodeWrong Type = "enrolment.code-wrong"
	RequestProved    Type = "enrolment.contact-proved"
	RequestApproved  Type = "enrolment.approved"
	RequestVouched   Type = "enrolment.vouched" // an operator has identified the person
	RequestCall      Type = "enrolment.call-needed"
	RequestMoved     Type = "enrolment.moved" // Details["state"] says where to
	RequestReissued  Type = "enrolment.reissued"
	RequestEnded     Type = "enrolment.ended"
	// a code was sent by which whoever asked can take the request back
	RequestWithdrawal Type = "enrolment.withdrawal-asked"
	CallQueued        Type = "call.queued"
	CallAssigned      Type = "call.assigned"
	CallAttempted     Type = "call.attempted"
	CallReleased      Type = "call.released"
	CallClosed        Type = "call.closed"

	ContactAsked     Type = "contact.asked"
	ContactCodeWrong Type = "contact.code-wrong"
	ContactProved    Type = "contact.proved"    // the pause begins
	ContactEffective Type = "contact.effective" // it counts, or is off
	ContactEnded     Type = "contact.ended"     // Details["state"] and Reason say how

	MessageSent   Type = "message.sent"
	MessageFailed Type = "message.failed"
	// MessageReported: what the transport told afterwards, such as a PEC receipt
	MessageReported Type = "message.reported"

	SessionStarted Type = "session.started"
	SessionEnded   Type = "session.ended"

	ConsentGiven     Type = "consent.given"
	ConsentDenied    Type = "consent.denied"
	ConsentWithdrawn Type = "consent.withdrawn"

	ClientInvited       Type = "client.invited" // a token that lets somebody register clients
	ClientRegistered    Type = "client.registered"
	ClientUpdated       Type = "client.updated"
	ClientSecretRotated Type = "client.secret-rotated"
	ClientDisabled      Type = "client.disabled"
	ClientEnabled       Type = "client.enabled"

	CodeIssued      Type = "grant.code-issued"
	CodeExchanged   Type = "grant.code-exchanged"
	TokenRefreshed  Type = "grant.refreshed"
	GrantRevoked    Type = "grant.revoked"
	TokenExchanged  Type = "token.exchanged" // a client speaks to another in a citizen's name
	TokenRevoked    Type = "token.revoked"
	TokenVouched    Type = "token.vouched" // a client got one for itself on another's word
	ReuseDetected   Type = "grant.reuse-detected"
	AuthorizeFailed Type = "authorize.failed"
	DeviceDenied    Type = "device.denied" // somebody said no to a device's request, signed in or not
	LogoutSent      Type = "logout.sent"   // a service was told of a session's end, or could not be

	KeyCreated   Type = "key.created"
	KeyActivated Type = "key.activated"
	KeyRetired   Type = "key.retired"
	KeyRevoked   Type = "key.revoked"
	KeyRewrapped Type = "key.rewrapped"

	CitizensImported Type = "citizens.imported"
	CitizenRead      Type = "citizen.read"

	ServeStarted   Type = "serve.started"
	ServeStopped   Type = "serve.stopped"
	Migrated       Type = "schema.migrated"
	AuditVerified  Type = "audit.verified"
	AuditExported  Type = "audit.exported"
	PolicyInForce  Type = "policy.in-force"
	StaffForbidden Type = "access.forbidden"
)

// Outcome is how it ended.
type Outcome string

// The outcomes.
const (
	Succeeded Outcome = "success"
	Refused   Outcome = "refused"
	Failed    Outcome = "failure"
)

// details lists the keys an event may carry beyond its columns. Values are
// facts and identifiers: never a secret, a contact or a codice fiscale.
var details = map[string]bool{
	"credential": true, "profile": true, "uses": true, "kind": true, "state": true, "until": true, "fails": true, "count": true, "minute": true,
	"channel": true, "message": true, "attempts": true, "grant": true, "scope": true, "claims": true, "acr": true,
	"key": true, "alg": true, "imported": true, "updated": true, "fields": true, "version": true, "old": true,
	"new": true, "revealed": true, "jti": true, "remember": true, "error": true, "migrations": true, "seq": true,
	"rules": true, "delivery": true, "waits": true, "generation": true, "interaction": true, "auth_method": true, "resource": true, "problem": true,
	"procedure": true, "request": true, "call": true, "authorizations": true, "account": true, "purpose": true, "from": true,
}
