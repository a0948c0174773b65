-- +goose Up
-- Changes of contacts. data is the new contact and the one that it replaces,
-- sealed; it goes when the change is over. Codes, links and targets rest as keyed
-- HMACs.
CREATE TABLE contact_changes (
    id         uuid        NOT NULL PRIMARY KEY,
    citizen_id uuid        NOT NULL REFERENCES citizens (id),
    kind       text        NOT NULL CHECK (kind IN ('mobile', 'email', 'pec')),
    removal    boolean     NOT NULL,
    asked_by   text        NOT NULL CHECK (asked_by IN ('citizen', 'operator')),
    state      text        NOT NULL CHECK (state IN ('asked', 'cooling', 'effective', 'contested', 'withdrawn', 'expired')),
    data       bytea,
    target_key bytea,
    code_key   bytea,
    link_key   bytea,
    tries      bigint      NOT NULL,
    reason     text        NOT NULL,
    created_at timestamptz NOT NULL,
    code_at    timestamptz,
    receipt_at timestamptz,
    proved_at  timestamptz,
    due_at     timestamptz,
    ended_at   timestamptz,
    purge_at   timestamptz,
    CONSTRAINT contact_changes_due CHECK ((state IN ('asked', 'cooling')) = (due_at IS NOT NULL AND data IS NOT NULL)),
    CONSTRAINT contact_changes_ended CHECK ((state IN ('asked', 'cooling')) = (ended_at IS NULL AND purge_at IS NULL)),
    CONSTRAINT contact_changes_code CHECK (removal OR state NOT IN ('asked', 'cooling') OR (code_key IS NOT NULL AND target_key IS NOT NULL)),
    CONSTRAINT contact_changes_proved CHECK (removal OR state NOT IN ('cooling', 'effective') OR (proved_at IS NOT NULL AND code_at IS NOT NULL)),
    CONSTRAINT contact_changes_removal CHECK (NOT removal OR (state <> 'asked' AND code_key IS NULL AND link_key IS NULL))
);
-- one open change a person and kind
CREATE UNIQUE INDEX contact_changes_one_open ON contact_changes (citizen_id, kind) WHERE state IN ('asked', 'cooling');
CREATE UNIQUE INDEX contact_changes_link ON contact_changes (link_key) WHERE link_key IS NOT NULL;
CREATE INDEX contact_changes_person ON contact_changes (citizen_id, created_at);
CREATE INDEX contact_changes_target ON contact_changes (target_key, created_at) WHERE target_key IS NOT NULL;
CREATE INDEX contact_changes_due ON contact_changes (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX contact_changes_purge ON contact_changes (purge_at) WHERE purge_at IS NOT NULL;
