package templates

import "time"

// Device asks for the code that a device shows: field user_code. Code is what
// was typed, or what the address brought.
type Device struct {
	Action  string
	Code    string
	Problem Problem // FormInvalidField, CodeWrong, LoginWaiting
	Fields  []FieldProblem
	Until   time.Time // with LoginWaiting
}

// DeviceConfirm asks whether the device whose code was typed is the citizen's
// own: buttons action=continue and action=deny. The service is in the frame.
type DeviceConfirm struct {
	Action    string
	Code      string // as the device shows it
	StartedAt time.Time
}

// DeviceEnd is how the request of a device has ended; the words are kept under it.
type DeviceEnd string

// The ends of a device's request.
const (
	DeviceAllowed DeviceEnd = "allowed"
	DeviceDenied  DeviceEnd = "denied"
	DeviceOver    DeviceEnd = "over" // answered elsewhere, or too late
)

// DeviceDone is the last page in the browser: the rest is on the device.
type DeviceDone struct {
	How      DeviceEnd
	AgainURL string // where another code is typed
}

// Names of the pages, as outsiders read them in data-page.
func (Device) Name() string        { return "device" }
func (DeviceConfirm) Name() string { return "device-confirm" }
func (DeviceDone) Name() string    { return "device-done" }

func (Device) page()        {}
func (DeviceConfirm) page() {}
func (DeviceDone) page()    {}
