-- +goose Up
-- How many wrong PINs in a row, by person. Rows of strangers (fiscal codes
-- nobody here has) expire; those of people stay, one a person.
CREATE TABLE pin_throttle (
    key        bytea       NOT NULL PRIMARY KEY,
    fails      bigint      NOT NULL,
    next_at    timestamptz,
    refused    boolean     NOT NULL,
    tried_at   timestamptz NOT NULL,
    expires_at timestamptz
);
CREATE INDEX pin_throttle_expires ON pin_throttle (expires_at) WHERE expires_at IS NOT NULL;

-- Tries at strangers, one row a minute; a worker makes each one audit event.
CREATE TABLE pin_stranger_tries (
    minute timestamptz NOT NULL PRIMARY KEY,
    tries  bigint      NOT NULL,
    waits  bigint      NOT NULL
);

-- One row a PIN. hash is sealed; it goes when the PIN is dead.
CREATE TABLE credentials (
    id               uuid        NOT NULL PRIMARY KEY,
    citizen_id       uuid        NOT NULL REFERENCES citizens (id),
    kind             text        NOT NULL CHECK (kind IN ('ordinario', 'dispositivo')),
    form             text        NOT NULL CHECK (form IN ('initial', 'working')),
    origin           text        NOT NULL CHECK (origin IN ('enrolment', 'change', 'recovery')),
    state            text        NOT NULL CHECK (state IN ('pending_delivery', 'issued', 'active', 'inactive', 'dismissed', 'superseded', 'revoked', 'expired_unused', 'discarded')),
    hash             bytea,
    salt             bytea       NOT NULL,
    memory           bigint      NOT NULL,
    passes           bigint      NOT NULL,
    threads          bigint      NOT NULL,
    pepper_key       bigint      NOT NULL,
    hash_version     bigint      NOT NULL,
    created_at       timestamptz NOT NULL,
    first_half_at    timestamptz,
    second_half_at   timestamptz,
    issued_at        timestamptz,
    changed_at       timestamptz,
    due_at           timestamptz,
    last_access_at   timestamptz,
    suspended_at     timestamptz,
    suspended_reason text        NOT NULL,
    ended_at         timestamptz,
    end_reason       text        NOT NULL,
    purge_at         timestamptz,
    CONSTRAINT credentials_due CHECK (state NOT IN ('pending_delivery', 'issued') OR due_at IS NOT NULL),
    CONSTRAINT credentials_age CHECK (state NOT IN ('active', 'inactive') OR changed_at IS NOT NULL),
    CONSTRAINT credentials_ended CHECK ((state IN ('superseded', 'revoked', 'expired_unused', 'discarded')) = (ended_at IS NOT NULL AND purge_at IS NOT NULL AND hash IS NULL))
);
-- at most one PIN that can sign in, nor another on its way by enrolment
CREATE UNIQUE INDEX credentials_one_live ON credentials (citizen_id) WHERE state IN ('issued', 'active', 'inactive', 'dismissed') OR (state = 'pending_delivery' AND origin = 'enrolment');
-- at most one PIN on its way
CREATE UNIQUE INDEX credentials_one_pending ON credentials (citizen_id) WHERE state = 'pending_delivery';
CREATE INDEX credentials_citizen ON credentials (citizen_id, created_at);
CREATE INDEX credentials_due ON credentials (due_at) WHERE state IN ('pending_delivery', 'issued');
CREATE INDEX credentials_purge ON credentials (purge_at) WHERE purge_at IS NOT NULL;

-- The change of PIN that a person is in the middle of; a later one replaces it.
CREATE TABLE pin_changes (
    citizen_id    uuid        NOT NULL PRIMARY KEY REFERENCES citizens (id),
    id            text        NOT NULL,
    credential_id uuid        NOT NULL,
    candidate     bytea       NOT NULL,
    regenerations bigint      NOT NULL,
    slips         bigint      NOT NULL,
    expires_at    timestamptz NOT NULL
);
CREATE UNIQUE INDEX pin_changes_id ON pin_changes (id);
CREATE INDEX pin_changes_expires ON pin_changes (expires_at);
