-- +goose Up
-- Requests for a first PIN. data is what was typed, sealed; it goes when the
-- request ends. Codes rest as keyed HMACs. citizen_id is set once the archive
-- has been asked.
CREATE TABLE enrolments (
    id              uuid        NOT NULL PRIMARY KEY,
    tracking_key    bytea       NOT NULL,
    fiscal_code_key bytea       NOT NULL,
    contact_key     bytea       NOT NULL,
    code_key        bytea       NOT NULL,
    code_tries      bigint      NOT NULL,
    citizen_id      uuid        REFERENCES citizens (id),
    credential_id   uuid,
    state           text        NOT NULL CHECK (state IN ('submitted', 'checking', 'call_queued', 'calling', 'approved', 'part1_sent', 'part2_handed', 'part2_posted', 'completed', 'rejected', 'expired', 'cancelled')),
    data            bytea,
    vouched         boolean     NOT NULL,
    reissues        bigint      NOT NULL,
    checks          bigint      NOT NULL,
    reason          text        NOT NULL,
    created_at      timestamptz NOT NULL,
    first_half_at   timestamptz,
    second_half_at  timestamptz,
    posted_at       timestamptz,
    next_at         timestamptz,
    due_at          timestamptz,
    ended_at        timestamptz,
    purge_at        timestamptz,
    CONSTRAINT enrolments_due CHECK (state IN ('completed', 'rejected', 'expired', 'cancelled') OR (due_at IS NOT NULL AND data IS NOT NULL)),
    CONSTRAINT enrolments_next CHECK (state <> 'checking' OR next_at IS NOT NULL),
    CONSTRAINT enrolments_person CHECK (state IN ('submitted', 'checking', 'rejected', 'expired', 'cancelled') OR citizen_id IS NOT NULL),
    CONSTRAINT enrolments_pin CHECK (state NOT IN ('approved', 'part1_sent', 'part2_handed', 'part2_posted', 'completed') OR credential_id IS NOT NULL),
    CONSTRAINT enrolments_ended CHECK ((state IN ('completed', 'rejected', 'expired', 'cancelled')) = (ended_at IS NOT NULL AND purge_at IS NOT NULL AND data IS NULL))
);
CREATE UNIQUE INDEX enrolments_tracking ON enrolments (tracking_key);
-- one open request a person; while nobody has proved a contact it is not one
CREATE UNIQUE INDEX enrolments_one_open ON enrolments (citizen_id) WHERE state IN ('checking', 'call_queued', 'calling', 'approved', 'part1_sent', 'part2_handed', 'part2_posted');
CREATE INDEX enrolments_fiscal_code ON enrolments (fiscal_code_key, created_at);
CREATE INDEX enrolments_contact ON enrolments (contact_key, created_at);
CREATE INDEX enrolments_credential ON enrolments (credential_id) WHERE credential_id IS NOT NULL;
CREATE INDEX enrolments_next ON enrolments (next_at) WHERE state = 'checking';
CREATE INDEX enrolments_due ON enrolments (due_at) WHERE state NOT IN ('completed', 'rejected', 'expired', 'cancelled');
CREATE INDEX enrolments_purge ON enrolments (purge_at) WHERE purge_at IS NOT NULL;

-- Calls that the contact centre owes. phone is sealed and goes with the call.
CREATE TABLE callbacks (
    id                uuid        NOT NULL PRIMARY KEY,
    citizen_id        uuid        NOT NULL REFERENCES citizens (id),
    enrolment_id      uuid,
    reasons           text        NOT NULL,
    phone             bytea,
    phone_key         bytea       NOT NULL,
    time_zone         text        NOT NULL,
    slot              text        NOT NULL CHECK (slot IN ('any', 'morning', 'afternoon')),
    state             text        NOT NULL CHECK (state IN ('queued', 'assigned', 'closed')),
    outcome           text        NOT NULL,
    operator          text        NOT NULL,
    attempts          bigint      NOT NULL,
    identity_failures bigint      NOT NULL,
    created_at        timestamptz NOT NULL,
    not_before        timestamptz NOT NULL,
    not_after         timestamptz NOT NULL,
    assigned_till     timestamptz,
    due_at            timestamptz,
    closed_at         timestamptz,
    purge_at          timestamptz,
    CONSTRAINT callbacks_due CHECK (state = 'closed' OR (due_at IS NOT NULL AND phone IS NOT NULL)),
    CONSTRAINT callbacks_assigned CHECK ((state = 'assigned') = (assigned_till IS NOT NULL)),
    CONSTRAINT callbacks_closed CHECK ((state = 'closed') = (closed_at IS NOT NULL AND purge_at IS NOT NULL AND phone IS NULL AND outcome <> ''))
);
-- one open call a person, and one a telephone
CREATE UNIQUE INDEX callbacks_one_person ON callbacks (citizen_id) WHERE state <> 'closed';
CREATE UNIQUE INDEX callbacks_one_phone ON callbacks (phone_key) WHERE state <> 'closed';
CREATE INDEX callbacks_not_before ON callbacks (not_before) WHERE state = 'queued';
CREATE INDEX callbacks_due ON callbacks (due_at) WHERE state <> 'closed';
CREATE INDEX callbacks_assigned_till ON callbacks (assigned_till) WHERE state = 'assigned';
CREATE INDEX callbacks_purge ON callbacks (purge_at) WHERE purge_at IS NOT NULL;
