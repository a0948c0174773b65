-- An event waits in a queue for the chain, and then moves there whole. Numbering
-- it where it lay wrote every event twice into the largest table, and into
-- three indexes each time. The queue has one index, the chain is only ever
-- appended to, and audit_events shows both.

-- +goose Up
CREATE TABLE audit_queue (
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
    details       text     NOT NULL
);
CREATE TABLE audit_chain (
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
    seq           integer  NOT NULL,
    prev_hash     blob     NOT NULL,
    hash          blob     NOT NULL
);

INSERT INTO audit_queue SELECT id, at, node_at, node, type, outcome, actor_kind, actor_id, subject, client_id, session, request_id, ip, port, user_agent, reason, details
    FROM audit_events WHERE seq IS NULL;
INSERT INTO audit_chain SELECT id, at, node_at, node, type, outcome, actor_kind, actor_id, subject, client_id, session, request_id, ip, port, user_agent, reason, details,
    seq, prev_hash, hash FROM audit_events WHERE seq IS NOT NULL ORDER BY seq;
DROP TRIGGER audit_events_delete; -- which dropping the table would fire
DROP TABLE audit_events;
CREATE UNIQUE INDEX audit_chain_seq ON audit_chain (seq);
CREATE INDEX audit_chain_subject ON audit_chain (subject, at) WHERE subject <> '';

CREATE VIEW audit_events AS
    SELECT id, at, node_at, node, type, outcome, actor_kind, actor_id, subject, client_id, session, request_id, ip, port, user_agent, reason, details, seq, prev_hash, hash FROM audit_chain
    UNION ALL
    SELECT id, at, node_at, node, type, outcome, actor_kind, actor_id, subject, client_id, session, request_id, ip, port, user_agent, reason, details, NULL, NULL, NULL FROM audit_queue;

-- +goose StatementBegin
CREATE TRIGGER audit_chain_update BEFORE UPDATE ON audit_chain
BEGIN
    SELECT RAISE(ABORT, 'audit events are append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_chain_delete BEFORE DELETE ON audit_chain
BEGIN
    SELECT RAISE(ABORT, 'audit events are append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_queue_update BEFORE UPDATE ON audit_queue
BEGIN
    SELECT RAISE(ABORT, 'audit events are append-only');
END;
-- +goose StatementEnd
-- An event leaves the queue when it stands in the chain as it was.
-- +goose StatementBegin
CREATE TRIGGER audit_queue_moved BEFORE DELETE ON audit_queue
WHEN NOT EXISTS (SELECT 1 FROM audit_chain c WHERE
    c.id = OLD.id AND c.at = OLD.at AND c.node_at = OLD.node_at AND c.node = OLD.node AND c.type = OLD.type
        AND c.outcome = OLD.outcome AND c.actor_kind = OLD.actor_kind AND c.actor_id = OLD.actor_id
        AND c.subject = OLD.subject AND c.client_id = OLD.client_id AND c.session = OLD.session AND c.request_id = OLD.request_id AND c.ip = OLD.ip
        AND c.port = OLD.port AND c.user_agent = OLD.user_agent AND c.reason = OLD.reason AND c.details = OLD.details)
BEGIN
    SELECT RAISE(ABORT, 'audit events are append-only');
END;
-- +goose StatementEnd
