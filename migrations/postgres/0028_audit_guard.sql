-- The guard compares rows as they lie in the table: as JSON, four times for
-- each event that is chained, it took a third of the database's time.

-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_events_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    kept audit_events;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        kept := NEW;
        kept.seq := OLD.seq;
        kept.prev_hash := OLD.prev_hash;
        kept.hash := OLD.hash;
        IF OLD.seq IS NULL AND NEW.seq IS NOT NULL AND kept *= OLD THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit events are append-only';
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_events_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.seq IS NULL AND NEW.seq IS NOT NULL
        AND (to_jsonb(OLD) - 'seq' - 'prev_hash' - 'hash') = (to_jsonb(NEW) - 'seq' - 'prev_hash' - 'hash') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'audit events are append-only';
END $$;
-- +goose StatementEnd
