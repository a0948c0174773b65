-- The key that a grant belongs to (RFC 9449): named with the request, or used
-- first by a client that has no secret. Empty: none.

-- +goose Up
ALTER TABLE grants ADD COLUMN bound_to text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE grants DROP COLUMN bound_to;
