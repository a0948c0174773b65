-- +goose Up
-- What every node of one installation must agree on, one row a thing.
CREATE TABLE installation (
    key        text        NOT NULL PRIMARY KEY,
    value      text        NOT NULL,
    changed_at timestamptz NOT NULL
);
