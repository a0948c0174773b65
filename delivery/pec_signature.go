package delivery

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"os"
	"strings"
	"time"

	"github.com/emersion/go-message"
	"github.com/smallstep/pkcs7"
)

// maxSignature is far more than a signature with its chain has.
const maxSignature = 64 << 10

// receiptReader knows whom to believe and what is about us.
type receiptReader struct {
	from  *mail.Address
	roots *x509.CertPool
}

func newReceiptReader(from, caFile string) (receiptReader, error) {
	sender, err := parseFrom("IDP_PEC_FROM", from)
	if err != nil {
		return receiptReader{}, err
	}
	if caFile == "" {
		return receiptReader{}, errors.New("IDP_PEC_CA_FILE must name the authorities that may sign PEC receipts")
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return receiptReader{}, fmt.Errorf("read IDP_PEC_CA_FILE: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return receiptReader{}, fmt.Errorf("IDP_PEC_CA_FILE %s holds no certificate in PEM", caFile)
	}
	return receiptReader{sender, roots}, nil
}

// signed returns the bytes that a PEC provider has signed: the first part of
// multipart/signed, exactly as it came.
func (r receiptReader) signed(e *message.Entity, raw []byte, now time.Time) ([]byte, error) {
	kind, params, err := e.Header.ContentType()
	if err != nil || kind != "multipart/signed" || params["boundary"] == "" {
		return nil, fmt.Errorf("%w: not multipart/signed", errReceiptSignature)
	}
	_, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	parts := split(body, params["boundary"])
	if len(parts) != 2 {
		return nil, fmt.Errorf("%w: %d parts, not content and signature", errReceiptForm, len(parts))
	}
	der, err := signaturePart(parts[1])
	if err != nil {
		return nil, err
	}
	if err := r.verify(parts[0], der, now); err != nil {
		return nil, fmt.Errorf("%w: %w", errReceiptSignature, err)
	}
	return parts[0], nil
}

func signaturePart(raw []byte) ([]byte, error) {
	e, err := message.Read(bytes.NewReader(raw))
	if err != nil {
		return nil, errReceiptForm
	}
	kind, _, err := e.Header.ContentType()
	if err != nil || (kind != "application/pkcs7-signature" && kind != "application/x-pkcs7-signature") {
		return nil, fmt.Errorf("%w: the second part is no signature", errReceiptForm)
	}
	der, err := io.ReadAll(io.LimitReader(e.Body, maxSignature+1))
	if err != nil || len(der) > maxSignature {
		return nil, errReceiptForm
	}
	return der, nil
}

// verify wants one signer, whom one of our authorities names as the mailbox
// from which PEC providers send: those authorities certify others as well,
// who may sign mail but no receipt.
func (r receiptReader) verify(content, der []byte, now time.Time) error {
	p, err := pkcs7.Parse(der)
	if err != nil {
		return errors.New("the signature cannot be read")
	}
	p.Content = content
	signer := p.GetOnlySigner()
	if signer == nil {
		return errors.New("not exactly one signer")
	}
	var digest []byte
	if err := p.UnmarshalSignedAttribute(pkcs7.OIDAttributeMessageDigest, &digest); err != nil {
		return errors.New("the signature covers no digest")
	}
	if err := p.VerifyWithChainAtTime(r.roots, now); err != nil {
		return errors.New("the signature does not hold")
	}
	intermediates := x509.NewCertPool()
	for _, c := range p.Certificates {
		intermediates.AddCert(c)
	}
	_, err = signer.Verify(x509.VerifyOptions{
		Roots: r.roots, Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	})
	if err != nil {
		return errors.New("the signer's certificate is not for mail")
	}
	for _, address := range signer.EmailAddresses {
		if user, _, _ := strings.Cut(address, "@"); strings.EqualFold(user, "posta-certificata") {
			return nil
		}
	}
	return errors.New("the signer is no PEC provider")
}

// split cuts a multipart body at its boundary and keeps every byte between, as
// a signature needs them. Preamble and epilogue are left out.
func split(body []byte, boundary string) [][]byte {
	mark := []byte("\r\n--" + boundary)
	rest := append([]byte("\r\n"), body...)
	var parts [][]byte
	start := -1
	for at := 0; ; {
		i := bytes.Index(rest[at:], mark)
		if i < 0 {
			return nil // it was never closed
		}
		i += at
		line, _, ended := bytes.Cut(rest[i+len(mark):], []byte("\r\n"))
		tail := string(bytes.TrimRight(line, " \t"))
		last := tail == "--"
		if tail != "" && !last {
			at = i + len(mark) // a longer boundary of another multipart
			continue
		}
		if start >= 0 {
			parts = append(parts, rest[start:max(start, i)])
		}
		if last || len(parts) >= maxParts {
			return parts
		}
		if !ended {
			return nil
		}
		// the next boundary may follow at once: its line end is this one's
		start = i + len(mark) + len(line) + 2
		at = start - 2
	}
}
