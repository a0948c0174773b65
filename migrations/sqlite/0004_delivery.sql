-- +goose Up
-- What is to be handed to a transport. body is sealed for its channel and goes
-- as soon as the transport has accepted it, or never will.
CREATE TABLE deliveries (
    id          text        NOT NULL PRIMARY KEY,
    channel     text        NOT NULL CHECK (channel IN ('sms', 'email', 'pec', 'post')),
    message     text        NOT NULL,
    citizen_id  text        NOT NULL,
    ref         text        NOT NULL,
    body        blob,
    state       text        NOT NULL CHECK (state IN ('held', 'queued', 'accepted', 'dead', 'cancelled')),
    attempts    integer     NOT NULL,
    created_at  datetime    NOT NULL,
    next_at     datetime    NOT NULL,
    give_up_at  datetime    NOT NULL,
    leased_till datetime,
    problem     text        NOT NULL,
    ended_at    datetime,
    purge_at    datetime,
    CONSTRAINT deliveries_ended CHECK ((state IN ('accepted', 'dead', 'cancelled')) = (ended_at IS NOT NULL AND purge_at IS NOT NULL AND body IS NULL))
);
CREATE INDEX deliveries_queued ON deliveries (channel, next_at) WHERE state = 'queued';
CREATE INDEX deliveries_give_up ON deliveries (give_up_at) WHERE state IN ('held', 'queued');
CREATE INDEX deliveries_ref ON deliveries (ref);
CREATE INDEX deliveries_purge ON deliveries (purge_at) WHERE purge_at IS NOT NULL;
