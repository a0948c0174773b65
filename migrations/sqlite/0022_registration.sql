-- +goose Up
-- Tokens that let somebody register clients, each of one profile; only their
-- digests.
CREATE TABLE registration_tokens (
    digest     blob NOT NULL PRIMARY KEY,
    profile    text NOT NULL,
    uses_left  integer NOT NULL,
    expires_at datetime NOT NULL
);

CREATE INDEX registration_tokens_expires_at ON registration_tokens (expires_at);

-- Clients that registered themselves, and the digest of the token with which
-- they change their registration (RFC 7592).
CREATE TABLE client_registrations (
    client_id text NOT NULL PRIMARY KEY REFERENCES clients (id),
    digest    blob NOT NULL
);

-- +goose Down
DROP TABLE client_registrations;
DROP TABLE registration_tokens;
