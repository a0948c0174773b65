package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ente.example/idp/citizens"
	"ente.example/idp/enrolment"
	"ente.example/idp/templates"
)

// deskHours are the institution's opening hours as the rules about calls need
// them; what the pages say and when people are called is one thing.
func deskHours(i templates.Institution) (enrolment.Hours, error) {
	var h enrolment.Hours
	days := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	for _, o := range i.Hours {
		from, err := clockTime(o.From)
		if err != nil {
			return h, err
		}
		to, err := clockTime(o.To)
		if err != nil {
			return h, err
		}
		for _, day := range o.Days {
			h.Openings = append(h.Openings, enrolment.Opening{Day: time.Weekday(slices.Index(days, day)), From: from, To: to})
		}
	}
	for _, text := range i.Closed {
		day, err := citizens.ParseDate(text)
		if err != nil {
			return h, fmt.Errorf("closed: %w", err)
		}
		h.Closed = append(h.Closed, day)
	}
	return h, nil
}

// clockTime reads HH:MM; 24:00 is the end of the day.
func clockTime(text string) (time.Duration, error) {
	hours, minutes, _ := strings.Cut(text, ":")
	h, err := strconv.Atoi(hours)
	if err != nil {
		return 0, fmt.Errorf("opening_hours: %q is not HH:MM", text)
	}
	m, err := strconv.Atoi(minutes)
	if err != nil {
		return 0, fmt.Errorf("opening_hours: %q is not HH:MM", text)
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute, nil
}
