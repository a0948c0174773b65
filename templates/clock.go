package templates

import (
	"sync"
	"time"
	_ "time/tzdata" // the server may have no zone files, and pages always say Rome's time
)

// rome is the zone of every time on a page.
var rome = sync.OnceValue(func() *time.Location {
	zone, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		return time.FixedZone("CET", 3600) // cannot happen: the zones are linked in
	}
	return zone
})
