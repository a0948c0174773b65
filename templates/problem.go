package templates

// Problem is the key of a refusal: outsiders read it as data-problem, the
// catalogues hold the words for people. The empty Problem is none.
type Problem string

// Refusals on a form: the page comes again with status 200.
const (
	LoginRefused      Problem = "login.refused"
	LoginWaiting      Problem = "login.waiting"
	LoginInvalidField Problem = "login.invalid-field"
	FormInvalidField  Problem = "form.invalid-field"

	PINChangeOldWrong    Problem = "pin-change.old-wrong"
	PINChangeNewMismatch Problem = "pin-change.new-mismatch"
	PINChangeExpired     Problem = "pin-change.expired"
)

// InteractionGone is what the page of a lost interaction says.
const InteractionGone Problem = "interaction.lost"

// Refusals that have the error page to themselves.
const (
	RequestUntrusted  Problem = "request.untrusted"          // 400, an authorization request nobody should believe
	RequestMalformed  Problem = "request.malformed"          // 400
	RequestForm       Problem = "request.form"               // 403, form token wrong or sent from another site
	RequestNotFound   Problem = "request.not-found"          // 404
	RequestMethod     Problem = "request.method-not-allowed" // 405
	RequestTooLarge   Problem = "request.too-large"          // 413
	RequestTooMany    Problem = "request.too-many"           // 429
	ServerFault       Problem = "server.fault"               // 500
	ServerUnavailable Problem = "server.unavailable"         // 503
)

// What may be wrong with one field of a form. The words are in the catalogue
// under "field.<name>.<problem>".
const (
	FieldMissing Problem = "missing"
	FieldShape   Problem = "shape" // not the form it must have
	// The two ways a change of PIN goes wrong; PINChange sets them from its Problem.
	fieldMismatch Problem = "mismatch"
	fieldWrong    Problem = "wrong"
)

// FieldProblem says what is wrong with the field of that name.
type FieldProblem struct {
	Field   string // the name in the form: fiscal_code, pin, old_pin, new_pin
	Problem Problem
}
