package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"ente.example/idp/delivery"
)

// senders are the transports of the channels: a gateway where there is one,
// else in development the outbox folder. A channel with neither is off.
func (v *services) senders() (map[delivery.Channel]delivery.Sender, error) {
	s, all := v.settings, map[delivery.Channel]delivery.Sender{}
	for _, one := range []struct {
		channel delivery.Channel
		set     bool
		open    func() (delivery.Sender, error)
	}{
		{delivery.SMS, s.SMSURL != "", func() (delivery.Sender, error) {
			return delivery.NewSMSFromURL(s.SMSURL, s.SMSToken, v.network)
		}},
		{delivery.Email, s.SMTPURL != "", func() (delivery.Sender, error) {
			return delivery.NewSMTPFromURL(s.SMTPURL, s.MailFrom, v.network)
		}},
		{delivery.PEC, s.PECSMTPURL != "", func() (delivery.Sender, error) {
			return delivery.NewPECFromURL(s.PECSMTPURL, s.PECFrom, v.network)
		}},
		{delivery.Post, s.PostDir != "", func() (delivery.Sender, error) {
			return delivery.NewLettersFromDir(s.PostDir, s.PostRecipient, s.loopback(), v.templates.Letterhead)
		}},
	} {
		switch {
		case one.set:
			sender, err := one.open()
			if err != nil {
				return nil, err
			}
			all[one.channel] = sender
		case s.OutboxDir != "" && one.channel == delivery.Post:
			sender, err := delivery.NewLetterFolder(s.OutboxDir, v.templates.Letterhead)
			if err != nil {
				return nil, err
			}
			all[one.channel] = sender
		case s.OutboxDir != "":
			all[one.channel] = delivery.NewFolder(s.OutboxDir)
		}
	}
	return all, nil
}

// reports is what transports tell after the hand-over: PEC receipts, SMS
// reports, letters posted and returned.
func (v *services) reports() (err error) {
	v.outcomes, err = delivery.NewOutcomes(delivery.OutcomesDeps{
		DB: v.db, Audit: v.audit, Outbox: v.outbox,
		Hook: func(ctx context.Context, o delivery.Outcome) error {
			if err := v.pins.Outcome(ctx, o); err != nil {
				return err
			}
			if err := v.requests.Outcome(ctx, o); err != nil {
				return err
			}
			return v.contacts.Outcome(ctx, o)
		},
	})
	if err != nil {
		return err
	}
	s := v.settings
	if s.SMSURL != "" {
		if v.smsReports, err = delivery.NewSMSReports(s.SMSToken); err != nil {
			return err
		}
	}
	if s.PECIMAPURL == "" {
		return nil
	}
	v.receipts, err = delivery.NewReceiptsFromURL(s.PECIMAPURL, s.PECFrom, s.PECCAFile,
		delivery.ReceiptsDeps{DB: v.db, Outcomes: v.outcomes, Logger: v.logger}, v.network)
	return err
}

// mountHooks adds what gateways call.
func (v *services) mountHooks(e *echo.Echo) {
	if v.smsReports != nil {
		e.POST("/hooks/sms", v.smsReport)
	}
}

// mostReport is how long a delivery report may be.
const mostReport = 4 << 10

// smsReport takes a delivery report of the SMS gateway. One that is repeated
// is answered as the first was.
func (v *services) smsReport(c echo.Context) error {
	body, err := io.ReadAll(io.LimitReader(c.Request().Body, mostReport))
	if err != nil {
		return fmt.Errorf("read a delivery report: %w", err)
	}
	r, err := v.smsReports.VerifyReport(c.Request().Header.Get("X-Signature"), body, time.Now())
	switch {
	case errors.Is(err, delivery.ErrReportSignature):
		return c.NoContent(http.StatusUnauthorized)
	case err != nil:
		return c.NoContent(http.StatusBadRequest)
	}
	_, err = v.outcomes.Record(c.Request().Context(), r)
	if errors.Is(err, delivery.ErrUnknownDelivery) {
		return c.NoContent(http.StatusNotFound)
	}
	if err != nil {
		return fmt.Errorf("record a delivery report: %w", err)
	}
	return c.NoContent(http.StatusNoContent)
}

type lettersCommands struct {
	Report lettersReport `cmd:"" help:"Take what the print service says: posted, returned."`
}

type lettersReport struct {
	File string `arg:"" help:"CSV with letter_id, status (posted, returned) and date; - for standard input."`
}

// Run records the print service's report.
func (c *lettersReport) Run(i *invocation) error {
	f, err := i.open(c.File)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return i.with(func(ctx context.Context, v *services) error {
		s, err := v.outcomes.LettersReport(ctx, f)
		if err != nil {
			return err
		}
		lines := []string{fmt.Sprintf("%d posted, %d returned, %d known already.", s.Posted, s.Returned, s.Known)}
		for _, b := range s.Bad {
			lines = append(lines, fmt.Sprintf("line %d: %s", b.Line, b.Reason))
		}
		if err := i.print(s, lines...); err != nil || len(s.Bad) == 0 {
			return err
		}
		return finding{fmt.Sprintf("%d bad lines in the report; the others were taken", len(s.Bad))}
	})
}
