package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"ente.example/idp/clients"
	"ente.example/idp/contacts"
	"ente.example/idp/credentials"
	"ente.example/idp/delivery"
	"ente.example/idp/enrolment"
	"ente.example/idp/login"
	"ente.example/idp/provider"
	"ente.example/idp/provider/keys"
	"ente.example/idp/templates"
	"ente.example/idp/throttle"
)

// policy gathers what the rooms let an institution decide.
type policy struct {
	lock      throttle.Policy
	pins      credentials.Policy
	requests  enrolment.Policy
	contacts  contacts.Policy
	sessions  login.Policy
	tokens    provider.Lifetimes
	devices   provider.DevicePolicy
	keys      keys.Policy
	clients   clients.Policy
	delivery  delivery.Policy
	hash      credentials.Cost
	drain     time.Duration
	origins   map[string]string // key → where its value comes from
	unbounded bool              // a loopback issuer: any positive value goes
}

func defaultPolicy() *policy {
	return &policy{
		lock: throttle.DefaultPolicy(), pins: credentials.DefaultPolicy(), requests: enrolment.DefaultPolicy(), contacts: contacts.DefaultPolicy(), delivery: delivery.DefaultPolicy(),
		sessions: login.Policy{Idle: 30 * time.Minute, Absolute: 8 * time.Hour},
		tokens: provider.Lifetimes{
			Code: time.Minute, AccessToken: 10 * time.Minute, IDToken: 10 * time.Minute,
			Refresh: 30 * 24 * time.Hour, RefreshGrace: 30 * time.Second,
		},
		devices: provider.DefaultDevicePolicy(),
		keys:    keys.Policy{CacheLifetime: 15 * time.Minute, Skew: time.Minute, Rotation: 90 * 24 * time.Hour},
		clients: clients.Policy{SecretOverlap: clients.DefaultSecretOverlap},
		drain:   5 * time.Second,
		origins: map[string]string{},
	}
}

// parameter is one figure that a policy file may set.
type parameter struct {
	key      string
	rule     string // where the figure comes from
	duration *time.Duration
	number   *int
	off      bool // "off" will do, and is zero
	memory   *uint32
	least    time.Duration // or a plain number for number
	most     time.Duration
}

// off is how a figure says that something never happens.
const off = "off"

const day = 24 * time.Hour

// mostDays is a century: more would overflow a time.Duration one day.
const mostDays = 36_525

// parameters is every figure, in the order that people read them. The ranges
// are what stays within the rules; a loopback issuer may leave them to test.
func (p *policy) parameters() []parameter {
	return []parameter{
		{key: "lock.threshold", rule: "R30", number: &p.lock.Threshold, least: 3, most: 100},
		{key: "lock.wait", rule: "R31", duration: &p.lock.Wait, least: time.Minute, most: time.Hour},
		{key: "lock.unknown_ttl", rule: "R33", duration: &p.lock.ShadowTTL, least: day, most: 90 * day},
		{key: "lock.unknown_most", rule: "R33", number: &p.lock.ShadowCap, least: 1000, most: 100_000_000},
		{key: "pin.validity.enrolment", rule: "R22", duration: &p.pins.ValidityItaly, least: day, most: 365 * day},
		{key: "pin.validity.enrolment_abroad", rule: "R22", duration: &p.pins.ValidityAbroad, least: day, most: 365 * day},
		{key: "pin.delivery.patience", rule: "R20", duration: &p.pins.Patience, least: day, most: 60 * day},
		{key: "pin.change.months", rule: "R27", number: &p.pins.ChangeMonths, least: 1, most: 12},
		{key: "pin.change.months_intermediary", rule: "R27", number: &p.pins.ChangeMonthsIntermediary, least: 1, most: 12},
		{key: "pin.change.candidate", rule: "R26", duration: &p.pins.CandidateLife, least: 2 * time.Minute, most: time.Hour},
		{key: "pin.change.regenerations", rule: "R26", number: &p.pins.Regenerations, least: 1, most: 10},
		{key: "pin.change.slips", rule: "R26", number: &p.pins.Slips, least: 1, most: 20},
		{key: "pin.validity.recovery", rule: "R39", duration: &p.pins.ValidityRecovery, least: day, most: 30 * day},
		{key: "pin.inactive.citizen", rule: "R27", number: &p.pins.InactiveMonths, least: 1, most: 60, off: true},
		{key: "pin.inactive.intermediary", rule: "R27", number: &p.pins.InactiveMonthsIntermediary, least: 1, most: 60, off: true},
		{key: "pin.dismissal.notice", rule: "R7", duration: &p.pins.Dismissal, least: day, most: 365 * day},
		{key: "pin.kind_after_recovery", rule: "R12", duration: &p.pins.KindAfterRecovery, least: day, most: 60 * day},
		{key: "recovery.code", rule: "R38", duration: &p.pins.Procedures.RecoveryLife, least: 10 * time.Minute, most: 2 * day},
		{key: "revocation.code", rule: "R50", duration: &p.pins.Procedures.RevocationLife, least: 10 * time.Minute, most: 2 * day},
		{key: "procedure.tries", rule: "R38", number: &p.pins.Procedures.Tries, least: 3, most: 10},
		{key: "procedure.starts", rule: "R46", number: &p.pins.Procedures.Starts, least: 1, most: 20},
		{key: "procedure.pause", rule: "R46", duration: &p.pins.Procedures.Pause, least: time.Minute, most: day},
		{key: "revocation.card_tries", rule: "R53", number: &p.pins.Procedures.CardTries, least: 1, most: 10},
		{key: "notice.per_day", rule: "R57", number: &p.pins.Procedures.Notices, least: 1, most: 20},
		{key: "notice.report", rule: "R57", duration: &p.pins.Procedures.ReportLife, least: day, most: 60 * day},
		{key: "request.code", rule: "R10", duration: &p.requests.CodeLife, least: 10 * time.Minute, most: 7 * day},
		{key: "request.code_tries", rule: "R10", number: &p.requests.CodeTries, least: 3, most: 10},
		{key: "request.per_day", rule: "R19", number: &p.requests.PerDay, least: 1, most: 20},
		{key: "request.post", rule: "R20", duration: &p.requests.PostItaly, least: day, most: 90 * day},
		{key: "request.post_abroad", rule: "R20", duration: &p.requests.PostAbroad, least: day, most: 180 * day},
		{key: "request.letter", rule: "§5.5", duration: &p.requests.LetterPause, least: time.Hour, most: 365 * day},
		{key: "request.moved", rule: "§5.5", duration: &p.requests.MovedPause, least: time.Hour, most: 365 * day},
		{key: "callback.attempts", rule: "R15", number: &p.requests.CallAttempts, least: 1, most: 10},
		{key: "callback.days", rule: "R15", number: &p.requests.CallDays, least: 1, most: 60},
		{key: "callback.lease", rule: "R15", duration: &p.requests.CallLease, least: time.Minute, most: day},
		{key: "contacts.cooling.citizen", rule: "R36", duration: &p.contacts.CoolingCitizen, least: day, most: 30 * day},
		{key: "contacts.cooling.operator", rule: "R42", duration: &p.contacts.CoolingOperator, least: 2 * day, most: 60 * day},
		{key: "contacts.code_life", rule: "R36", duration: &p.contacts.SMSCode, least: 5 * time.Minute, most: day},
		{key: "contacts.code_life_mail", rule: "R36", duration: &p.contacts.MailCode, least: 10 * time.Minute, most: 7 * day},
		{key: "contacts.code_tries", rule: "R36", number: &p.contacts.Tries, least: 3, most: 10},
		{key: "contacts.per_day", rule: "R36", number: &p.contacts.PerDay, least: 1, most: 20},
		{key: "contacts.per_target", rule: "R36", number: &p.contacts.PerTarget, least: 1, most: 20},
		{key: "session.idle", rule: "R55", duration: &p.sessions.Idle, least: time.Minute, most: time.Hour},
		{key: "session.absolute", rule: "R55", duration: &p.sessions.Absolute, least: 30 * time.Minute, most: day},
		{key: "token.code", rule: "RFC 6749 4.1.2", duration: &p.tokens.Code, least: 10 * time.Second, most: time.Minute},
		{key: "token.access", rule: "RFC 9068", duration: &p.tokens.AccessToken, least: time.Minute, most: time.Hour},
		{key: "token.id", rule: "OpenID Connect Core 2", duration: &p.tokens.IDToken, least: time.Minute, most: time.Hour},
		{key: "token.refresh", rule: "RFC 9700 4.14", duration: &p.tokens.Refresh, least: time.Hour, most: 90 * day},
		{key: "token.refresh_grace", rule: "RFC 9700 4.14", duration: &p.tokens.RefreshGrace, least: time.Second, most: 2 * time.Minute},
		{key: "device.code", rule: "RFC 8628 3.2", duration: &p.devices.Life, least: time.Minute, most: 30 * time.Minute},
		{key: "device.interval", rule: "RFC 8628 3.2", duration: &p.devices.Interval, least: time.Second, most: time.Minute},
		{key: "device.tries", rule: "RFC 8628 5.1", number: &p.devices.Tries, least: 3, most: 20},
		{key: "device.wait", rule: "RFC 8628 5.1", duration: &p.devices.Wait, least: time.Minute, most: time.Hour},
		{key: "device.network_tries", rule: "RFC 8628 5.1", number: &p.devices.NetworkTries, least: 10, most: 1000},
		{key: "device.network_wait", rule: "RFC 8628 5.1", duration: &p.devices.NetworkWait, least: 10 * time.Second, most: time.Hour},
		{key: "keys.cache", rule: "OpenID Connect Core 10.1.1", duration: &p.keys.CacheLifetime, least: time.Minute, most: day},
		{key: "keys.rotation", rule: "OpenID Connect Core 10.1.1", duration: &p.keys.Rotation, least: day, most: 365 * day},
		{key: "clients.secret_overlap", rule: "contract", duration: &p.clients.SecretOverlap, least: time.Minute, most: 30 * day},
		{key: "delivery.patience", rule: "R20", duration: &p.delivery.GiveUp, least: time.Hour, most: 7 * day},
		{key: "hash.memory_kib", rule: "OWASP ASVS 5.0 appendix C", memory: &p.hash.Memory, least: 47104, most: 4 << 20},
		{key: "drain.delay", rule: "operation", duration: &p.drain, least: time.Second, most: 2 * time.Minute},
	}
}

// loadPolicy reads the figures in force. An unknown key, or a value out of
// range, is refused with its name.
func loadPolicy(s settings) (*policy, error) {
	p := defaultPolicy()
	p.unbounded = s.loopback()
	p.pins.Alphabet = credentials.Alphabet(s.PINAlphabet)
	if s.PolicyFile == "" {
		return p, nil
	}
	doc, err := readObject(s.PolicyFile)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	known := map[string]parameter{}
	for _, q := range p.parameters() {
		known[q.key] = q
	}
	for key, v := range doc {
		q, ok := known[key]
		if !ok {
			return nil, fmt.Errorf("policy: unknown parameter %q", key)
		}
		if err := q.set(fmt.Sprint(v), p.unbounded); err != nil {
			return nil, fmt.Errorf("policy: %s: %w", key, err)
		}
		p.origins[key] = s.PolicyFile
	}
	return p, p.settle()
}

// settle is what follows from one figure for another.
func (p *policy) settle() error {
	if p.hash.Memory > 0 {
		p.hash.Passes, p.hash.Threads = 1, 1
	}
	p.keys.TokenLifetime = max(p.tokens.AccessToken, p.tokens.IDToken)
	if p.sessions.Idle > p.sessions.Absolute {
		return errors.New("policy: session.idle must not be longer than session.absolute")
	}
	if p.unbounded && p.keys.CacheLifetime < p.keys.Skew {
		p.keys.Skew = p.keys.CacheLifetime
	}
	return nil
}

// told are the figures that pages and messages name.
func (p *policy) told() templates.Figures {
	return templates.Figures{
		RecoveryCode: p.pins.Procedures.RecoveryLife, RevocationCode: p.pins.Procedures.RevocationLife, ProcedureTries: p.pins.Procedures.Tries,
		RequestCode: p.requests.CodeLife, RequestTries: p.requests.CodeTries, RequestsPerDay: p.requests.PerDay, ContactTries: p.contacts.Tries,
	}
}

func (q parameter) set(text string, unbounded bool) error {
	if q.duration != nil {
		d, err := parseDuration(text)
		if err != nil {
			return err
		}
		*q.duration = d
		return q.within(d, unbounded, func(d time.Duration) string { return d.String() })
	}
	if q.off && text == off {
		*q.number = 0
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n > math.MaxInt32 {
		return fmt.Errorf("%q is no whole number, or too large", text)
	}
	if q.number != nil {
		*q.number = n
	} else {
		*q.memory = uint32(n)
	}
	return q.within(time.Duration(n), unbounded, func(d time.Duration) string { return strconv.Itoa(int(d)) })
}

func (q parameter) within(v time.Duration, unbounded bool, show func(time.Duration) string) error {
	if v <= 0 {
		return errors.New("must be positive")
	}
	if !unbounded && (v < q.least || v > q.most) {
		return fmt.Errorf("%s is out of range: %s to %s", show(v), show(q.least), show(q.most))
	}
	return nil
}

// parseDuration is time.ParseDuration with days, "60d".
func parseDuration(text string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(text, "d"); ok {
		if days, err := strconv.Atoi(n); err == nil && days <= mostDays {
			return time.Duration(days) * day, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration such as \"5m\" or \"60d\"", text)
	}
	return d, nil
}

// value is the figure as a policy file would write it.
func (q parameter) value() any {
	switch {
	case q.duration != nil:
		return q.duration.String()
	case q.off && *q.number == 0:
		return off
	case q.number != nil:
		return *q.number
	case *q.memory == 0: // the installation keeps what it has, at first the floor
		return credentials.FloorCost().Memory
	default:
		return *q.memory
	}
}
