-- +goose Up
-- Requests for a first PIN. data is what was typed, sealed; it goes when the
-- request ends. Codes rest as keyed HMACs. citizen_id is set once the archive
-- has been asked.
CREATE TABLE enrolments (
    id              text     NOT NULL PRIMARY KEY,
    tracking_key    blob     NOT NULL,
    fiscal_code_key blob     NOT NULL,
    contact_key     blob     NOT NULL,
    code_key        blob     NOT NULL,
    code_tries      integer  NOT NULL,
    citizen_id      text     REFERENCES citizens (id),
    credential_id   text,
    state           text     NOT NULL CHECK (state IN ('submitted', 'checking', 'call_queued', 'calling', 'approved', 'part1_sent', 'part2_handed', 'part2_posted', 'completed', 'rejected', 'expired', 'cancelled')),
    data            blob,
    vouched         boolean  NOT NULL,
    reissues        integer  NOT NULL,
    checks          integer  NOT NULL,
    reason          text     NOT NULL,
    created_at      datetime NOT NULL,
    first_half_at   datetime,
    second_half_at  datetime,
    posted_at       datetime,
    next_at         datetime,
    due_at          datetime,
    ended_at        datetime,
    purge_at        datetime,
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
    id                text     NOT NULL PRIMARY KEY,
    citizen_id        text     NOT NULL REFERENCES citizens (id),
    enrolment_id      text,
    reasons           text     NOT NULL,
    phone             blob,
    phone_key         blob     NOT NULL,
    time_zone         text     NOT NULL,
    slot              text     NOT NULL CHECK (slot IN ('any', 'morning', 'afternoon')),
    state             text     NOT NULL CHECK (state IN ('queued', 'assigned', 'closed')),
    outcome           text     NOT NULL,
    operator          text     NOT NULL,
    attempts          integer  NOT NULL,
    identity_failures integer  NOT NULL,
    created_at        datetime NOT NULL,
    not_before        datetime NOT NULL,
    not_after         datetime NOT NULL,
    assigned_till     datetime,
    due_at            datetime,
    closed_at         datetime,
    purge_at          datetime,
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
