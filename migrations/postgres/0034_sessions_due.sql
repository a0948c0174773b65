-- The janitor looks for sessions that are due among those that go on: with one
-- index for both it went through all that had ended in the last day.

-- +goose Up
DROP INDEX sessions_expires;
CREATE INDEX sessions_due ON sessions (expires_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_over ON sessions (expires_at) WHERE ended_at IS NOT NULL;

-- +goose Down
DROP INDEX sessions_over;
DROP INDEX sessions_due;
CREATE INDEX sessions_expires ON sessions (expires_at);
