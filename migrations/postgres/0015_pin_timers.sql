-- +goose Up
-- When wrong tries came to a wait: a worker tells the person, and forgets the
-- strangers.
ALTER TABLE pin_throttle ADD COLUMN alarm_at timestamptz;
CREATE INDEX pin_throttle_alarm ON pin_throttle (alarm_at) WHERE alarm_at IS NOT NULL;

-- What time brings to a PIN that is in use. look_at is when the sweep looks at
-- it next; notice_step is the notice, in days before, that was given of the day
-- notice_due. From dismissal_at on it opens nothing, its owner being no longer
-- eligible. Until ordinary_until it counts as ordinario, having been recovered.
ALTER TABLE credentials ADD COLUMN look_at timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00';
ALTER TABLE credentials ADD COLUMN notice_step bigint NOT NULL DEFAULT 0;
ALTER TABLE credentials ADD COLUMN notice_due timestamptz;
ALTER TABLE credentials ADD COLUMN dismissal_at timestamptz;
ALTER TABLE credentials ADD COLUMN ordinary_until timestamptz;
CREATE INDEX credentials_look ON credentials (look_at) WHERE state IN ('issued', 'active', 'inactive', 'dismissed');
