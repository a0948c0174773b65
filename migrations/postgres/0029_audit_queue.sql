-- An event waits in a queue for the chain, and then moves there whole. Numbering
-- it where it lay wrote every event twice into the largest table, and into
-- three indexes each time. The queue has one index, the chain is only ever
-- appended to, and audit_events shows both.

-- +goose Up
DROP TRIGGER audit_events_guard ON audit_events;
DROP TRIGGER audit_events_truncate ON audit_events;
DROP FUNCTION audit_events_guard();

CREATE TABLE audit_queue (
    id            uuid        NOT NULL PRIMARY KEY,
    at            timestamptz NOT NULL,
    node_at       timestamptz NOT NULL,
    node          text        NOT NULL,
    type          text        NOT NULL,
    outcome       text        NOT NULL,
    actor_kind    text        NOT NULL,
    actor_id      text        NOT NULL,
    subject       text        NOT NULL,
    client_id     text        NOT NULL,
    session       text        NOT NULL,
    request_id    text        NOT NULL,
    ip            text        NOT NULL,
    port          bigint      NOT NULL,
    user_agent    text        NOT NULL,
    reason        text        NOT NULL,
    details       text        NOT NULL
) WITH (vacuum_truncate = off); -- to give the disk its pages back would stop everybody who records something

INSERT INTO audit_queue SELECT id, at, node_at, node, type, outcome, actor_kind, actor_id, subject, client_id, session, request_id, ip, port, user_agent, reason, details
    FROM audit_events WHERE seq IS NULL;
DELETE FROM audit_events WHERE seq IS NULL;
DROP INDEX audit_events_unchained;
ALTER TABLE audit_events RENAME TO audit_chain;
ALTER TABLE audit_chain ALTER seq SET NOT NULL, ALTER prev_hash SET NOT NULL, ALTER hash SET NOT NULL;
ALTER INDEX audit_events_pkey RENAME TO audit_chain_pkey;
ALTER INDEX audit_events_seq RENAME TO audit_chain_seq;
ALTER INDEX audit_events_subject RENAME TO audit_chain_subject;

CREATE VIEW audit_events AS
    SELECT id, at, node_at, node, type, outcome, actor_kind, actor_id, subject, client_id, session, request_id, ip, port, user_agent, reason, details, seq, prev_hash, hash FROM audit_chain
    UNION ALL
    SELECT id, at, node_at, node, type, outcome, actor_kind, actor_id, subject, client_id, session, request_id, ip, port, user_agent, reason, details, NULL, NULL, NULL FROM audit_queue;

-- +goose StatementBegin
CREATE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit events are append-only';
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_chain_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_chain FOR EACH STATEMENT EXECUTE FUNCTION audit_guard();
CREATE TRIGGER audit_queue_guard BEFORE UPDATE OR TRUNCATE ON audit_queue FOR EACH STATEMENT EXECUTE FUNCTION audit_guard();

-- An event leaves the queue when it stands in the chain as it was. The settings
-- keep a plan from reading the chain that was made when it was short.
-- +goose StatementBegin
CREATE FUNCTION audit_queue_moved() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF EXISTS (
        SELECT FROM gone g LEFT JOIN audit_chain c ON c.id = g.id
        WHERE (c.id, c.at, c.node_at, c.node, c.type, c.outcome, c.actor_kind, c.actor_id, c.subject, c.client_id, c.session, c.request_id, c.ip, c.port, c.user_agent, c.reason, c.details)
            IS DISTINCT FROM (g.id, g.at, g.node_at, g.node, g.type, g.outcome, g.actor_kind, g.actor_id, g.subject, g.client_id, g.session, g.request_id, g.ip, g.port, g.user_agent, g.reason, g.details)
    ) THEN
        RAISE EXCEPTION 'audit events are append-only';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_queue_moved AFTER DELETE ON audit_queue REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION audit_queue_moved();
