-- Nothing to do here: the guard compares column by column already.

-- +goose Up
SELECT 1;

-- +goose Down
SELECT 1;
