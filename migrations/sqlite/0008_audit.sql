-- +goose Up
-- Events are inserted with the change they record and never changed again,
-- but for the three columns that the sequencer fills once.
CREATE TABLE audit_events (
    id            text     NOT NULL PRIMARY KEY,
    at            datetime NOT NULL,
    node_at       datetime NOT NULL,
    node          text     NOT NULL,
    type          text     NOT NULL,
    outcome       text     NOT NULL,
    actor_kind    text     NOT NULL,
    actor_id      text     NOT NULL,
    subject       text     NOT NULL,
    client_id     text     NOT NULL,
    session       text     NOT NULL,
    request_id    text     NOT NULL,
    ip            text     NOT NULL,
    port          integer  NOT NULL,
    user_agent    text     NOT NULL,
    reason        text     NOT NULL,
    details       text     NOT NULL,
    seq           integer,
    prev_hash     blob,
    hash          blob
);
CREATE UNIQUE INDEX audit_events_seq ON audit_events (seq);
CREATE INDEX audit_events_unchained ON audit_events (id) WHERE seq IS NULL;
CREATE INDEX audit_events_subject ON audit_events (subject, at) WHERE subject <> '';

CREATE TABLE audit_head (
    id          integer  NOT NULL PRIMARY KEY CHECK (id = 1),
    seq         integer  NOT NULL,
    hash        blob     NOT NULL,
    leased_by   text     NOT NULL,
    leased_till datetime
);
INSERT INTO audit_head (id, seq, hash, leased_by) VALUES (1, 0, zeroblob(32), '');

-- +goose StatementBegin
CREATE TRIGGER audit_events_guard BEFORE UPDATE ON audit_events
WHEN NOT (OLD.seq IS NULL AND NEW.seq IS NOT NULL
    AND OLD.id = NEW.id AND OLD.at = NEW.at AND OLD.node_at = NEW.node_at AND OLD.node = NEW.node
    AND OLD.type = NEW.type AND OLD.outcome = NEW.outcome AND OLD.actor_kind = NEW.actor_kind
    AND OLD.actor_id = NEW.actor_id AND OLD.subject = NEW.subject AND OLD.client_id = NEW.client_id
    AND OLD.session = NEW.session AND OLD.request_id = NEW.request_id AND OLD.ip = NEW.ip
    AND OLD.port = NEW.port AND OLD.user_agent = NEW.user_agent AND OLD.reason = NEW.reason AND OLD.details = NEW.details)
BEGIN
    SELECT RAISE(ABORT, 'audit events are append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_events_delete BEFORE DELETE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit events are append-only');
END;
-- +goose StatementEnd
