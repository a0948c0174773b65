package deliverytest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// SMSToken is what is shared with the gateway.
const SMSToken = "0123456789abcdef"

// Text is what the gateway was asked to send.
type Text struct {
	ID   string `json:"id"`
	To   string `json:"to"`
	Text string `json:"text"`
}

// SMSGateway is an HTTP gateway, as the contract describes it.
type SMSGateway struct {
	*httptest.Server
	// Before runs before the gateway answers, once it has the text; nil: nothing.
	Before func(Text)
	mu     sync.Mutex
	status int
	texts  []Text
}

// NewSMSGateway starts one.
func NewSMSGateway(t testing.TB) *SMSGateway {
	t.Helper()
	h := &SMSGateway{status: http.StatusAccepted}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

// ServeHTTP takes a text from whoever knows the token.
func (h *SMSGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	var m Text
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer "+SMSToken ||
		r.Header.Get("Content-Type") != "application/json" || d.Decode(&m) != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	status := h.take(m)
	if h.Before != nil {
		h.Before(m)
	}
	w.Header().Set("Location", "/elsewhere")
	w.WriteHeader(status)
}

func (h *SMSGateway) take(m Text) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.texts = append(h.texts, m)
	return h.status
}

// Answer is the status from now on.
func (h *SMSGateway) Answer(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

// Texts are those so far, repetitions included.
func (h *SMSGateway) Texts() []Text {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.texts)
}

// Signature is X-Signature as the gateway makes it.
func Signature(secret string, at time.Time, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// Report tells the address what became of a text, and returns the answer's
// status; 0 is none.
func Report(address, id, status string) int {
	body := fmt.Sprintf(`{"id":%q,"status":%q}`, id, status)
	r, err := http.NewRequest(http.MethodPost, address, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Signature", Signature(SMSToken, time.Now(), body))
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	_ = a.Body.Close()
	return a.StatusCode
}
