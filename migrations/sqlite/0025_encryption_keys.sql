-- Keys that requests are encrypted to live as those do that sign, in the same
-- table: it is called after whose they are.

-- +goose Up
ALTER TABLE signing_keys RENAME TO provider_keys;
DROP INDEX signing_keys_active;
DROP INDEX signing_keys_pending;
DROP INDEX signing_keys_expires_at;
CREATE UNIQUE INDEX provider_keys_active ON provider_keys (alg) WHERE state = 'active';
CREATE UNIQUE INDEX provider_keys_pending ON provider_keys (alg) WHERE state = 'pending';
CREATE INDEX provider_keys_expires_at ON provider_keys (expires_at);

-- +goose Down
DELETE FROM provider_keys WHERE alg IN ('RSA-OAEP-256', 'ECDH-ES');
ALTER TABLE provider_keys RENAME TO signing_keys;
DROP INDEX provider_keys_active;
DROP INDEX provider_keys_pending;
DROP INDEX provider_keys_expires_at;
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (alg) WHERE state = 'active';
CREATE UNIQUE INDEX signing_keys_pending ON signing_keys (alg) WHERE state = 'pending';
CREATE INDEX signing_keys_expires_at ON signing_keys (expires_at);
