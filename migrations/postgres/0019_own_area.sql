-- +goose Up
-- The voluntary change of PIN that a session has open: only its browser may see
-- the new PIN. An interaction whose client_id is empty leads to the own area.
ALTER TABLE sessions ADD COLUMN change_id text;
