-- +goose Up
-- The profile of eligibility under which a PIN was given, or last found right:
-- whom another profile excludes gets no more time, unlike somebody who has moved.
ALTER TABLE credentials ADD COLUMN profile text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE credentials DROP COLUMN profile;
