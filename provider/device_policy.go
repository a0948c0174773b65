package provider

import "time"

// DevicePolicy is the figures of RFC 8628 that are the server's choice. The zero
// value of a field is the default.
type DevicePolicy struct {
	Life     time.Duration // 10 minutes for a citizen to answer, and for the device to fetch what came of it
	Interval time.Duration // 5 seconds between two questions of a device (§3.2); parts of a second count as one

	// Tries is how many wrong user codes in a row one browser may type before
	// each costs a Wait: 10, and 5 minutes. NetworkTries and NetworkWait are the
	// same of one network: 60, and a minute. A network is many people, and a
	// browser can be had anew: the second pair is what counts against a program,
	// the first spares the network's others.
	Tries        int
	Wait         time.Duration
	NetworkTries int
	NetworkWait  time.Duration
}

// DefaultDevicePolicy is the figures that hold where an institution sets none.
// Where ten thousand devices wait at once, a network that guesses for ten
// minutes finds one of them in less than one case of thirty thousand.
func DefaultDevicePolicy() DevicePolicy { return DevicePolicy{}.withDefaults() }

func (p DevicePolicy) withDefaults() DevicePolicy {
	or := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	or(&p.Life, 10*time.Minute)
	or(&p.Interval, 5*time.Second)
	or(&p.Wait, 5*time.Minute)
	or(&p.NetworkWait, time.Minute)
	if p.Tries <= 0 {
		p.Tries = 10
	}
	if p.NetworkTries <= 0 {
		p.NetworkTries = 60
	}
	return p
}

// interval is what a device is told to wait at first, in seconds.
func (p DevicePolicy) interval() int {
	return int((p.Interval + time.Second - 1) / time.Second)
}
