-- +goose Up
-- Events are inserted with the change they record and never changed again,
-- but for the three columns that the sequencer fills once.
CREATE TABLE audit_events (
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
    details       text        NOT NULL,
    seq           bigint,
    prev_hash     bytea,
    hash          bytea
);
CREATE UNIQUE INDEX audit_events_seq ON audit_events (seq);
CREATE INDEX audit_events_unchained ON audit_events (id) WHERE seq IS NULL;
CREATE INDEX audit_events_subject ON audit_events (subject, at) WHERE subject <> '';

CREATE TABLE audit_head (
    id          bigint      NOT NULL PRIMARY KEY CHECK (id = 1),
    seq         bigint      NOT NULL,
    hash        bytea       NOT NULL,
    leased_by   text        NOT NULL,
    leased_till timestamptz
);
INSERT INTO audit_head (id, seq, hash, leased_by) VALUES (1, 0, '\x0000000000000000000000000000000000000000000000000000000000000000', '');

-- +goose StatementBegin
CREATE FUNCTION audit_events_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.seq IS NULL AND NEW.seq IS NOT NULL
        AND (to_jsonb(OLD) - 'seq' - 'prev_hash' - 'hash') = (to_jsonb(NEW) - 'seq' - 'prev_hash' - 'hash') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'audit events are append-only';
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_events_guard BEFORE UPDATE OR DELETE ON audit_events FOR EACH ROW EXECUTE FUNCTION audit_events_guard();
CREATE TRIGGER audit_events_truncate BEFORE TRUNCATE ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION audit_events_guard();
