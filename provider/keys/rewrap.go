package keys

import (
	"bytes"
	"context"
	"fmt"

	"ente.example/idp/audit"
)

// Rewrap seals every key anew under the primary key of the secrets folder, so
// that an older one may be removed from it. It may be interrupted and run
// again; the counts say how many keys it changed and how many there are.
func (k *Set) Rewrap(ctx context.Context, by audit.Actor) (changed, total int, err error) {
	rows, _, err := k.store.all(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("rewrap keys: %w", err)
	}
	for _, r := range rows {
		done, err := k.rewrap(ctx, by, r)
		if err != nil {
			return changed, len(rows), fmt.Errorf("rewrap key %s: %w", r.Kid, err)
		}
		if done {
			changed++
		}
	}
	return changed, len(rows), nil
}

func (k *Set) rewrap(ctx context.Context, by audit.Actor, r row) (done bool, err error) {
	anew := row{}
	if anew.Proof, err = k.reencrypt(r.Proof, provenFor(r.Kid, r.Alg)); err != nil {
		return false, err
	}
	if len(r.Sealed) > 0 {
		if anew.Sealed, err = k.reencrypt(r.Sealed, sealedFor(r.Kid, r.Alg)); err != nil {
			return false, err
		}
	}
	if sameKey(anew.Proof, r.Proof) && sameKey(anew.Sealed, r.Sealed) {
		return false, nil
	}
	err = k.db.InTx(ctx, func(ctx context.Context) error {
		done, err = k.store.reseal(ctx, r, anew)
		if err != nil || !done {
			return err
		}
		return k.audit.Record(ctx, event(audit.KeyRewrapped, by, r.Kid, r.Alg))
	})
	return done, err
}

// reencrypt opens a ciphertext with whichever key made it and seals it with the
// primary one.
func (k *Set) reencrypt(sealed, context []byte) ([]byte, error) {
	plain, err := k.wrap.Decrypt(sealed, context)
	if err != nil {
		return nil, fmt.Errorf("it cannot be unsealed with this secrets folder: %w", err)
	}
	defer clear(plain)
	return k.wrap.Encrypt(plain, context)
}

// tinkPrefix is the length of what Tink puts before a ciphertext: a version
// and the id of the key that made it.
const tinkPrefix = 5

func sameKey(a, b []byte) bool {
	return bytes.Equal(a[:min(len(a), tinkPrefix)], b[:min(len(b), tinkPrefix)])
}
