-- +goose Up

-- What a citizen ticked to keep: for one client, the attributes agreed to so
-- far, as a sorted JSON array of claim names. It stays until withdrawn.
CREATE TABLE consents (
    citizen_id text        NOT NULL,
    client_id  text        NOT NULL,
    claims     text        NOT NULL,
    offline    boolean     NOT NULL DEFAULT false,
    created_at datetime    NOT NULL,
    updated_at datetime    NOT NULL,
    PRIMARY KEY (citizen_id, client_id)
);
