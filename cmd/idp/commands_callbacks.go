package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ente.example/idp/enrolment"
)

type callbacksCommands struct {
	List   callbacksList   `cmd:"" help:"Show whom the contact centre is to call, masked."`
	Assign callbacksAssign `cmd:"" help:"Take a call for half an hour: the one named, or the one due longest. Shows the number."`
	Close  callbacksClose  `cmd:"" help:"Say how a call ended."`
}

// callDoc is a call as JSON.
type callDoc struct {
	ID        string     `json:"id"`
	Citizen   string     `json:"citizen"`
	Request   string     `json:"request,omitempty"`
	Name      string     `json:"name"`
	Phone     string     `json:"phone"`
	Reasons   []string   `json:"reasons"`
	Slot      string     `json:"slot"`
	TimeZone  string     `json:"time_zone"`
	From      time.Time  `json:"from"`
	Until     time.Time  `json:"until"`
	State     string     `json:"state"`
	Operator  string     `json:"operator,omitempty"`
	HeldUntil *time.Time `json:"held_until,omitempty"`
	Attempts  int        `json:"attempts"`
	CreatedAt time.Time  `json:"created_at"`
	DueAt     time.Time  `json:"due_at"`
}

func callDocument(c enrolment.Call) callDoc {
	return callDoc{
		ID: c.ID, Citizen: string(c.Citizen), Request: c.Request, Name: c.Name, Phone: c.Phone, Reasons: c.Reasons, Slot: string(c.Slot),
		TimeZone: c.Zone.String(), From: c.Window.From, Until: c.Window.Until, State: string(c.State), Operator: c.Operator, HeldUntil: c.HeldUntil,
		Attempts: c.Attempts, CreatedAt: c.CreatedAt, DueAt: c.DueAt,
	}
}

// line is a call for people: when, by the clock of whom we call.
func (d callDoc) line(zone *time.Location) string {
	from, until := d.From.In(zone), d.Until.In(zone)
	return fmt.Sprintf("%s  %-8s  %s to %s (%s)  %-16s  %-20s  %s  attempts: %d",
		d.ID, d.State, from.Format("2006-01-02 15:04"), until.Format("15:04"), d.TimeZone, d.Phone, d.Name, strings.Join(d.Reasons, "; "), d.Attempts)
}

type callbacksList struct{}

// Run lists the open calls, those due first before the others.
func (*callbacksList) Run(i *invocation) error {
	return i.with(func(ctx context.Context, v *services) error {
		list, err := v.requests.Calls().List(ctx)
		if err != nil {
			return err
		}
		docs, lines := []callDoc{}, []string{}
		for _, c := range list {
			doc := callDocument(c)
			docs, lines = append(docs, doc), append(lines, doc.line(c.Zone))
		}
		if len(lines) == 0 {
			lines = []string{"Nobody is to be called."}
		}
		return i.print(docs, lines...)
	})
}

type callbacksAssign struct {
	ID string `arg:"" optional:"" help:"The call; without it, the one that has been due longest."`
}

// Run takes a call. Its number is shown, and the audit says to whom.
func (c *callbacksAssign) Run(i *invocation) error {
	return i.with(func(ctx context.Context, v *services) error {
		call, err := v.requests.Calls().Assign(ctx, operator(), c.ID)
		if err != nil {
			return err
		}
		doc := callDocument(call)
		return i.print(doc, doc.line(call.Zone),
			"Yours until "+call.HeldUntil.In(time.Local).Format("15:04")+". Ask what the archive knows, never what the request says; leave nothing on a voicemail.")
	})
}

type callbacksClose struct {
	ID      string `arg:"" help:"The call, taken before with assign."`
	Outcome string `arg:"" optional:"" help:"approve, reject, no-answer, voicemail, wrong-person, identity-failed."`
	Approve bool   `help:"The same as the outcome approve."`
	Reject  bool   `help:"The same as the outcome reject."`
	Reason  string `help:"Why, for the audit. Needed to reject."`
}

// Run ends an attempt, or the call.
func (c *callbacksClose) Run(i *invocation) error {
	how, err := c.outcome()
	if err != nil {
		return err
	}
	return i.with(func(ctx context.Context, v *services) error {
		if err := v.requests.Calls().Close(ctx, operator(), c.ID, how, c.Reason); err != nil {
			return err
		}
		words := map[enrolment.CallOutcome]string{
			enrolment.CallApproved: "Approved: both halves leave as soon as idp serve delivers them.",
			enrolment.CallRejected: "Rejected: the call and the request are over.",
		}[how]
		if words == "" {
			words = "Noted. The call is back in the queue, or over after the last attempt."
		}
		return i.print(map[string]string{"id": c.ID, "outcome": string(how)}, words)
	})
}

// outcome is what the command line says, once.
func (c *callbacksClose) outcome() (enrolment.CallOutcome, error) {
	var said []string
	for _, one := range []struct {
		text string
		is   bool
	}{{c.Outcome, c.Outcome != ""}, {"approve", c.Approve}, {"reject", c.Reject}} {
		if one.is {
			said = append(said, one.text)
		}
	}
	if len(said) == 1 {
		for _, how := range enrolment.CallOutcomes() {
			if string(how) == said[0] {
				return how, nil
			}
		}
	}
	return "", usageError{"one outcome is needed: approve, reject, no-answer, voicemail, wrong-person or identity-failed"}
}
