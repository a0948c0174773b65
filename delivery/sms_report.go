package delivery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrReportSignature says that a delivery report does not come from the
// gateway, or not now.
var ErrReportSignature = errors.New("the report's signature is wrong or too old")

// ErrReportForm says that a signed report is no report.
var ErrReportForm = errors.New("not a delivery report")

const (
	// reportAge is how old a report's signature may be, and how far ahead the
	// gateway's clock.
	reportAge = 5 * time.Minute
	// maxSignatures are looked at: a gateway that changes its token sends two.
	maxSignatures = 4
)

// SMSReports checks what the SMS gateway reports to POST /hooks/sms.
type SMSReports struct{ token token }

// NewSMSReports takes IDP_SMS_TOKEN.
func NewSMSReports(secret string) (*SMSReports, error) {
	t, err := parseToken(secret)
	if err != nil {
		return nil, err
	}
	return &SMSReports{t}, nil
}

// VerifyReport reads a report: header is X-Signature, body the bytes as they
// came. The same report may come again within its five minutes; Record notes
// it once.
func (s *SMSReports) VerifyReport(header string, body []byte, now time.Time) (Report, error) {
	at, signatures, err := parseSignature(header)
	if err != nil {
		return Report{}, err
	}
	if age := now.Sub(time.Unix(at, 0)); age > reportAge || age < -reportAge {
		return Report{}, ErrReportSignature
	}
	if !s.signed(at, body, signatures) {
		return Report{}, ErrReportSignature
	}
	var r struct {
		ID     string `json:"id"`
		Status Result `json:"status"`
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return Report{}, ErrReportForm
	}
	switch r.Status {
	case SMSDelivered, SMSFailed, SMSExpired:
		return Report{Delivery: r.ID, Channel: SMS, Result: r.Status}, nil
	default:
		return Report{}, fmt.Errorf("%w: status is none of delivered, failed, expired", ErrReportForm)
	}
}

// signed compares in constant time.
func (s *SMSReports) signed(at int64, body []byte, signatures [][]byte) bool {
	mac := hmac.New(sha256.New, []byte(s.token.value))
	mac.Write([]byte(strconv.FormatInt(at, 10) + "."))
	mac.Write(body)
	want, right := mac.Sum(nil), false
	for _, got := range signatures {
		right = hmac.Equal(want, got) || right
	}
	return right
}

// parseSignature reads t=<unix>,v1=<hex>[,v1=<hex>]; other members are for
// other versions.
func parseSignature(header string) (at int64, signatures [][]byte, err error) {
	for member := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(member), "=")
		switch name {
		case "t":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || at != 0 || n <= 0 || strconv.FormatInt(n, 10) != value {
				return 0, nil, ErrReportSignature
			}
			at = n
		case "v1":
			b, err := hex.DecodeString(value)
			if err != nil || len(signatures) == maxSignatures {
				return 0, nil, ErrReportSignature
			}
			signatures = append(signatures, b)
		}
	}
	if at == 0 {
		return 0, nil, ErrReportSignature
	}
	return at, signatures, nil
}
