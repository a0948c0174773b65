-- +goose Up
-- What somebody without a PIN at hand has asked for: a recovery or a revocation.
-- input is what was typed, sealed, and goes when it is no longer needed;
-- person_key, link_key and code_key are keyed HMACs. A request that is not over
-- has a time by which it is.
CREATE TABLE pin_procedures (
    id            text        NOT NULL PRIMARY KEY,
    kind          text        NOT NULL CHECK (kind IN ('recovery', 'revocation')),
    state         text        NOT NULL CHECK (state IN ('received', 'mail_sent', 'parts_sending', 'parts_sent', 'completed', 'no_match', 'not_verified', 'refused_first_pin', 'refused_no_pin', 'refused_ineligible', 'refused_suspended', 'refused_limit', 'refused_recent', 'undeliverable', 'expired', 'superseded', 'attempts_exceeded', 'delivery_failed', 'contested', 'cancelled')),
    person_key    blob        NOT NULL,
    citizen_id    text        REFERENCES citizens (id),
    credential_id text,
    input         blob,
    link_key      blob,
    code_key      blob,
    tries         integer     NOT NULL,
    created_at    datetime    NOT NULL,
    mailed_at     datetime,
    confirmed_at  datetime,
    parts_sent_at datetime,
    due_at        datetime,
    ended_at      datetime,
    purge_at      datetime,
    CONSTRAINT pin_procedures_due CHECK ((state IN ('received', 'mail_sent', 'parts_sending', 'parts_sent')) = (due_at IS NOT NULL)),
    CONSTRAINT pin_procedures_ended CHECK ((due_at IS NULL) = (ended_at IS NOT NULL AND purge_at IS NOT NULL)),
    CONSTRAINT pin_procedures_input CHECK ((state IN ('received', 'mail_sent')) = (input IS NOT NULL)),
    CONSTRAINT pin_procedures_mailed CHECK (state NOT IN ('mail_sent', 'parts_sending', 'parts_sent') OR (citizen_id IS NOT NULL AND link_key IS NOT NULL AND code_key IS NOT NULL AND mailed_at IS NOT NULL)),
    CONSTRAINT pin_procedures_parts CHECK (state NOT IN ('parts_sending', 'parts_sent') OR (credential_id IS NOT NULL AND confirmed_at IS NOT NULL))
);
-- at most one open request of a kind for a person
CREATE UNIQUE INDEX pin_procedures_one_open ON pin_procedures (citizen_id, kind) WHERE state IN ('mail_sent', 'parts_sending', 'parts_sent');
CREATE UNIQUE INDEX pin_procedures_link ON pin_procedures (link_key) WHERE link_key IS NOT NULL;
CREATE INDEX pin_procedures_received ON pin_procedures (created_at) WHERE state = 'received';
CREATE INDEX pin_procedures_citizen ON pin_procedures (citizen_id, kind, created_at);
CREATE INDEX pin_procedures_person ON pin_procedures (person_key, kind, created_at);
CREATE INDEX pin_procedures_credential ON pin_procedures (credential_id) WHERE credential_id IS NOT NULL;
CREATE INDEX pin_procedures_due ON pin_procedures (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX pin_procedures_purge ON pin_procedures (purge_at) WHERE purge_at IS NOT NULL;

-- Notices that were sent, each with the keyed HMACs of what reports it: the
-- link in a mail, the code in an SMS.
CREATE TABLE pin_notices (
    id          text        NOT NULL PRIMARY KEY,
    citizen_id  text        NOT NULL REFERENCES citizens (id),
    message     text        NOT NULL,
    link_key    blob        NOT NULL,
    code_key    blob        NOT NULL,
    tries       integer     NOT NULL,
    created_at  datetime    NOT NULL,
    reported_at datetime,
    expires_at  datetime    NOT NULL
);
CREATE UNIQUE INDEX pin_notices_link ON pin_notices (link_key);
CREATE INDEX pin_notices_citizen ON pin_notices (citizen_id, message, created_at);
CREATE INDEX pin_notices_expires ON pin_notices (expires_at);
