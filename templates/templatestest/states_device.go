package templatestest

import (
	"time"

	"ente.example/idp/templates"
)

// devicePages are those on which a device's request is answered.
func devicePages(outside, signIn templates.Frame) []State {
	const code = "WDJB-MJHT"
	field := func(p templates.Problem, typed string) templates.Device {
		return templates.Device{
			Action: "/device", Code: typed, Problem: templates.FormInvalidField,
			Fields: []templates.FieldProblem{{Field: "user_code", Problem: p}},
		}
	}
	long := signIn
	long.Service = &templates.Service{Name: "Sportello telematico dei contributi e delle prestazioni", Host: "sportello.ente.example"}
	nameless := outside
	started := outside.Now.Add(-2 * time.Minute)
	done := func(how templates.DeviceEnd) templates.DeviceDone {
		return templates.DeviceDone{How: how, AgainURL: "/device"}
	}
	return []State{
		{Name: "device", Frame: outside, Page: templates.Device{Action: "/device"}},
		{Name: "device-filled", Frame: outside, Page: templates.Device{Action: "/device", Code: code}},
		{Name: "device-missing", Frame: outside, Page: field(templates.FieldMissing, "")},
		{Name: "device-shape", Frame: outside, Page: field(templates.FieldShape, "WDJB-MJ")},
		{Name: "device-wrong", Frame: outside, Page: templates.Device{Action: "/device", Code: code, Problem: templates.CodeWrong}},
		{Name: "device-waiting", Frame: outside, Page: templates.Device{
			Action: "/device", Code: code, Problem: templates.LoginWaiting, Until: outside.Now.Add(5 * time.Minute),
		}},
		{Name: "device-confirm", Frame: signIn, Page: templates.DeviceConfirm{Action: "/device", Code: code, StartedAt: started}},
		{Name: "device-confirm-long", Frame: long, Page: templates.DeviceConfirm{Action: "/device", Code: code, StartedAt: started}},
		{Name: "device-confirm-nameless", Frame: nameless, Page: templates.DeviceConfirm{Action: "/device", Code: code, StartedAt: started}},
		{Name: "device-done-allowed", Frame: signIn, Page: done(templates.DeviceAllowed)},
		{Name: "device-done-denied", Frame: signIn, Page: done(templates.DeviceDenied)},
		{Name: "device-done-over", Frame: signIn, Page: done(templates.DeviceOver)},
	}
}
