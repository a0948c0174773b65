-- Keys that requests are encrypted to live as those do that sign, in the same
-- table: it is called after whose they are.

-- +goose Up
ALTER TABLE signing_keys RENAME TO provider_keys;
ALTER INDEX signing_keys_pkey RENAME TO provider_keys_pkey;
ALTER INDEX signing_keys_active RENAME TO provider_keys_active;
ALTER INDEX signing_keys_pending RENAME TO provider_keys_pending;
ALTER INDEX signing_keys_expires_at RENAME TO provider_keys_expires_at;

-- +goose Down
DELETE FROM provider_keys WHERE alg IN ('RSA-OAEP-256', 'ECDH-ES');
ALTER TABLE provider_keys RENAME TO signing_keys;
ALTER INDEX provider_keys_pkey RENAME TO signing_keys_pkey;
ALTER INDEX provider_keys_active RENAME TO signing_keys_active;
ALTER INDEX provider_keys_pending RENAME TO signing_keys_pending;
ALTER INDEX provider_keys_expires_at RENAME TO signing_keys_expires_at;
