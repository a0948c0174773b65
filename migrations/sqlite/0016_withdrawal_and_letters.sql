-- +goose Up
-- When the registry last learnt of another residence: a letter there waits.
ALTER TABLE citizens ADD COLUMN residence_changed_at datetime;

-- Whoever asked for a PIN may take the request back with a code that goes to the
-- contact that was proved. reply is that contact, sealed: it outlives data for a
-- request that was rejected and must not look so, until reply_until.
ALTER TABLE enrolments ADD COLUMN reply blob;
ALTER TABLE enrolments ADD COLUMN reply_until datetime;
ALTER TABLE enrolments ADD COLUMN withdraw_key blob;
ALTER TABLE enrolments ADD COLUMN withdraw_tries integer NOT NULL DEFAULT 0;
ALTER TABLE enrolments ADD COLUMN withdraw_sent integer NOT NULL DEFAULT 0;
ALTER TABLE enrolments ADD COLUMN withdraw_sent_at datetime;
ALTER TABLE enrolments ADD COLUMN withdraw_due_at datetime;
ALTER TABLE enrolments ADD COLUMN withdrawn_at datetime;
CREATE INDEX enrolments_reply ON enrolments (reply_until) WHERE reply_until IS NOT NULL;

-- when a person was last sent a letter
CREATE INDEX credentials_letters ON credentials (citizen_id, second_half_at) WHERE second_half_at IS NOT NULL;
