-- +goose Up

-- One row per authorization: the code, its PKCE challenge, the OpenID Connect
-- request and the family of refresh tokens. Nothing here is a usable secret:
-- the code and the refresh token are kept as SHA-256.
CREATE TABLE grants (
    id                 text     NOT NULL PRIMARY KEY,
    code_hash          blob     NOT NULL,
    client_id          text     NOT NULL,
    citizen_id         text     NOT NULL,
    subject            text     NOT NULL,
    session_id         text     NOT NULL,
    scopes             text     NOT NULL,
    userinfo_claims    text     NOT NULL,
    id_token_claims    text     NOT NULL,
    resources          text     NOT NULL,
    redirect_uri       text     NOT NULL,
    code_challenge     text     NOT NULL,
    nonce              text     NOT NULL,
    offline            boolean  NOT NULL,
    acr                text     NOT NULL,
    amr                text     NOT NULL,
    auth_time          datetime NOT NULL,
    code_expires_at    datetime NOT NULL,
    code_used_at       datetime,
    refresh_generation integer  NOT NULL,
    refresh_hash       blob,
    refreshed_at       datetime,
    refresh_expires_at datetime,
    revoked_at         datetime,
    revoked_reason     text     NOT NULL,
    created_at         datetime NOT NULL,
    expires_at         datetime NOT NULL
);

CREATE UNIQUE INDEX grants_code_hash ON grants (code_hash);
CREATE INDEX grants_session_id ON grants (session_id);
CREATE INDEX grants_citizen_id ON grants (citizen_id, client_id);
CREATE INDEX grants_expires_at ON grants (expires_at);

-- The client assertions (private_key_jwt) that have been seen, so that none
-- counts twice.
CREATE TABLE assertion_jtis (
    client_id  text     NOT NULL,
    jti_hash   blob     NOT NULL,
    expires_at datetime NOT NULL,
    PRIMARY KEY (client_id, jti_hash)
);

CREATE INDEX assertion_jtis_expires_at ON assertion_jtis (expires_at);
