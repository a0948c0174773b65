package templates

import "io/fs"

// Unfold makes every page of the set anew, as written.
func (s *Set) Unfold(overrides fs.FS) error {
	texts, err := pageTexts(overrides)
	if err != nil {
		return err
	}
	for tag, w := range s.words {
		if s.pages[tag], err = s.parse(w, texts, func(*folder) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}
