-- Taking an event out of the queue is moving it into the chain: the trigger
-- that looked each one up there, and compared it, now puts it there as it was.
-- So nothing looks for an event of the chain by its id any more. By subject
-- only people look, and rarely; that index was written in its middle for each
-- event, page by page as large as the event itself, and a filter for each 256 kB
-- of the table, which hold some 550 events, is enough.

-- +goose Up
-- The hashes of the events that go, in the order of their ids, come in a setting
-- of the transaction (audit.hashes, in hexadecimal). Without it nothing goes.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_queue_moved() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    hashes bytea  := decode(current_setting('audit.hashes', true), 'hex');
    events bigint := count(*) FROM gone;
    head   record;
BEGIN
    IF events = 0 THEN
        RETURN NULL;
    END IF;
    IF octet_length(hashes) IS DISTINCT FROM 32 * events THEN
        RAISE EXCEPTION 'audit events are append-only';
    END IF;
    SELECT seq, hash INTO STRICT head FROM audit_head WHERE id = 1;
    hashes := head.hash || hashes; -- each stands behind the one before it
    INSERT INTO audit_chain (id, at, node_at, node, type, outcome, actor_kind, actor_id, subject, client_id, session, request_id, ip, port, user_agent, reason, details, seq, prev_hash, hash)
    SELECT id, at, node_at, node, type, outcome, actor_kind, actor_id, subject, client_id, session, request_id, ip, port, user_agent, reason, details,
        head.seq + n, substring(hashes, 32 * n - 31, 32), substring(hashes, 32 * n + 1, 32)
    FROM (SELECT *, (row_number() OVER (ORDER BY id))::int AS n FROM gone) AS numbered;
    RETURN NULL;
END $$;
-- +goose StatementEnd

ALTER TABLE audit_chain DROP CONSTRAINT audit_chain_pkey;
DROP INDEX audit_chain_subject;
CREATE INDEX audit_chain_subject ON audit_chain USING brin (subject text_bloom_ops (n_distinct_per_range = 600, false_positive_rate = 0.001))
    WITH (pages_per_range = 32, autosummarize = on) WHERE subject <> '';
