-- +goose Up

-- The keys that tokens are signed with, private parts sealed. The proof, made
-- with the sealing key, shows that a key is the program's: who can write here
-- can add no key of his own. The two partial indexes are the rule that an
-- algorithm has one key that signs and at most one that will.
CREATE TABLE signing_keys (
    kid             text        NOT NULL PRIMARY KEY,
    alg             text        NOT NULL,
    state           text        NOT NULL CHECK (state IN ('pending', 'active', 'retiring', 'retired', 'revoked')),
    public_jwk      jsonb       NOT NULL,
    proof           bytea       NOT NULL,
    sealed          bytea,
    created_at      timestamptz NOT NULL,
    activates_at    timestamptz NOT NULL,
    activated_at    timestamptz,
    published_until timestamptz,
    expires_at      timestamptz
);

CREATE UNIQUE INDEX signing_keys_active ON signing_keys (alg) WHERE state = 'active';
CREATE UNIQUE INDEX signing_keys_pending ON signing_keys (alg) WHERE state = 'pending';
CREATE INDEX signing_keys_expires_at ON signing_keys (expires_at);

-- Revoked access tokens that no grant stands behind (client_credentials).
CREATE TABLE revoked_tokens (
    jti        text        NOT NULL PRIMARY KEY,
    client_id  text        NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX revoked_tokens_expires_at ON revoked_tokens (expires_at);
