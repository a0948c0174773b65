package credentials

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"ente.example/idp/database/databasetest"
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

// Nothing is built on a PIN that opens nothing any more when its row is taken,
// whether what is built waits for that or only the commit does. A try that was
// overtaken is recorded as refused.
func TestNothingIsBuiltOnWhatHasEnded(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for what, end := range map[string]struct {
			do      func()
			outcome string
		}{
			"suspended": {func() { f.must(f.Suspend(t.Context(), staff, code(mario), "report")) }, "refused"},
			"dead":      {func() { f.sql("UPDATE citizens SET deceased_on = '2026-01-01'") }, "success"},
		} {
			for when, build := range map[string]func(context.Context) error{
				"at once": func(ctx context.Context) error {
					_, err := f.db.Writer(ctx).Do("UPDATE citizens SET family_name = 'Built'")
					return err
				},
				"at the commit": func(ctx context.Context) error {
					return f.db.Writer(ctx).Later("UPDATE citizens SET family_name = 'Built'")
				},
			} {
				pin := f.active(mario)
				before := f.count("audit_events WHERE type = 'sign-in' AND outcome = ?", end.outcome)
				var begun atomic.Bool
				counter := databasetest.Count(t, f.db)
				counter.Before(func(q string) {
					if q == "BEGIN" && begun.CompareAndSwap(false, true) {
						end.do()
					}
				})
				_, err := f.VerifyThen(t.Context(), anyone, code(mario), pin, func(ctx context.Context, _ Verified) error { return build(ctx) })
				counter.Before(nil)
				f.wants(what+" "+when, err, ErrRefused)
				if n := f.count("citizens WHERE family_name = 'Built'"); n != 0 {
					t.Errorf("%s, %s: it is built", what, when)
				}
				if n := f.count("audit_events WHERE type = 'sign-in' AND outcome = ?", end.outcome) - before; n != 1 {
					t.Errorf("%s, %s: %d tries recorded as %s, want 1", what, when, n, end.outcome)
				}
				f.sql("UPDATE citizens SET deceased_on = NULL")
				f.must(f.Revoke(t.Context(), staff, code(mario), "report"))
			}
		}
	})
}
