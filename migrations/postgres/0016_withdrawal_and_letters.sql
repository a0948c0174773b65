-- +goose Up
-- When the registry last learnt of another residence: a letter there waits.
ALTER TABLE citizens ADD COLUMN residence_changed_at timestamptz;

-- Whoever asked for a PIN may take the request back with a code that goes to the
-- contact that was proved. reply is that contact, sealed: it outlives data for a
-- request that was rejected and must not look so, until reply_until.
ALTER TABLE enrolments ADD COLUMN reply bytea;
ALTER TABLE enrolments ADD COLUMN reply_until timestamptz;
ALTER TABLE enrolments ADD COLUMN withdraw_key bytea;
ALTER TABLE enrolments ADD COLUMN withdraw_tries bigint NOT NULL DEFAULT 0;
ALTER TABLE enrolments ADD COLUMN withdraw_sent bigint NOT NULL DEFAULT 0;
ALTER TABLE enrolments ADD COLUMN withdraw_sent_at timestamptz;
ALTER TABLE enrolments ADD COLUMN withdraw_due_at timestamptz;
ALTER TABLE enrolments ADD COLUMN withdrawn_at timestamptz;
CREATE INDEX enrolments_reply ON enrolments (reply_until) WHERE reply_until IS NOT NULL;

-- when a person was last sent a letter
CREATE INDEX credentials_letters ON credentials (citizen_id, second_half_at) WHERE second_half_at IS NOT NULL;
