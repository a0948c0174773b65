-- Of interactions each index is of the rows that somebody looks for in it: of a
-- browser's those that are open, by their end those that hold what a service sent,
-- and the others. A row is in two of three, and in one once it has ended.

-- +goose Up
DROP INDEX interactions_browser;
DROP INDEX interactions_expires;
CREATE INDEX interactions_browser ON interactions (browser_hash, created_at) WHERE ended_at IS NULL;
CREATE INDEX interactions_over ON interactions (expires_at) WHERE sealed IS NULL;

-- +goose Down
DROP INDEX interactions_over;
DROP INDEX interactions_browser;
CREATE INDEX interactions_expires ON interactions (expires_at);
CREATE INDEX interactions_browser ON interactions (browser_hash, created_at);
