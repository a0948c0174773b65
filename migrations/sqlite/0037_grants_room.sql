-- Nothing to do here: SQLite writes a row in its place.

-- +goose Up
SELECT 1;

-- +goose Down
SELECT 1;
