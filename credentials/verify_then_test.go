package credentials

import (
	"context"
	"errors"
	"testing"
)

// What is built on a right PIN is undone where it fails, be it at the commit; the
// try is recorded all the same, as the right one that it was.
func TestWhatIsBuiltOnAPINFailsAlone(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		pin := f.active(mario)
		failed := errors.New("it cannot be built")
		for what, end := range map[string]func(context.Context) error{
			"at once": func(context.Context) error { return failed },
			"at the commit": func(ctx context.Context) error {
				return f.db.Writer(ctx).Must(failed, "UPDATE citizens SET family_name = family_name WHERE 1 = 0 RETURNING 1")
			},
		} {
			f.refused(mario, never)
			before := f.count("audit_events WHERE type = 'sign-in' AND outcome = 'success'")
			_, err := f.VerifyThen(t.Context(), anyone, code(mario), pin, func(ctx context.Context, _ Verified) error {
				return errors.Join(f.db.Writer(ctx).Later("UPDATE credentials SET last_access_at = NULL"), end(ctx))
			})
			f.wants(what, err, failed)
			if n := f.count("credentials WHERE last_access_at IS NULL AND state = 'active'"); n != 0 {
				t.Errorf("%s: what was built is still there", what)
			}
			if n := f.count("audit_events WHERE type = 'sign-in' AND outcome = 'success'") - before; n != 1 {
				t.Errorf("%s: %d right tries recorded, want 1", what, n)
			}
			if n := f.count("pin_throttle WHERE fails > 0"); n != 0 {
				t.Errorf("%s: wrong tries still count after the right one", what)
			}
		}
	})
}
