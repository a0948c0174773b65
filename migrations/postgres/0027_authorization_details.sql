-- What a citizen has allowed in detail (RFC 9396), as JSON; empty for nothing.

-- +goose Up
ALTER TABLE grants ADD COLUMN authorization_details text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE grants DROP COLUMN authorization_details;
