package templates

import "fmt"

// Mail puts a message into words: the text of an SMS, an e-mail, a PEC or a
// letter. Data are the placeholders of the message's text; one that is missing
// is an error, so that nobody gets half a message. A half or a code stands alone
// on its line. An SMS has its own, shorter text, without addresses to press.
//
// Variant among the data picks other words for the same message: the parts of a
// PIN come by other ways when it was recovered.
func (s *Set) Mail(lang, key, channel string, data map[string]string) (subject, body string, err error) {
	w, ok := s.words[lang]
	if !ok {
		w = s.words[fallback]
	}
	pairs := s.mailPairs(w.language)
	for name, value := range data {
		pairs = append(pairs, name, value)
	}
	base := "mail." + key
	if variant := data["Variant"]; variant != "" {
		base += "." + variant
	}
	if channel == "sms" {
		base += ".sms"
	} else {
		base += ".written"
	}
	if subject, err = w.say(base+".subject", pairs...); err != nil {
		return "", "", fmt.Errorf("words of %s by %s: %w", key, channel, err)
	}
	if body, err = w.say(base+".body", pairs...); err != nil {
		return "", "", fmt.Errorf("words of %s by %s: %w", key, channel, err)
	}
	return subject, body, nil
}

// mailPairs is what every message may say about the institution.
func (s *Set) mailPairs(lang string) []any {
	phone := ""
	if call := s.institution.call(); call != nil {
		phone = call.Shown
	}
	return []any{"Institution", s.institution.Name.In(lang), "Phone", phone, "Address", s.institution.Address}
}
