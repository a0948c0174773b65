-- Nothing to do here: the trigger of the queue finds the chained event by its
-- id, and there is no log in which an index weighs more than the event.

-- +goose Up
SELECT 1;
