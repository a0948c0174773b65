-- +goose Up
-- Requests of devices that cannot show our pages (RFC 8628): each waits for
-- somebody to type its code in a browser. Both codes are digests. Whose grant
-- came of it says grants.code_hash, which is the same digest.
CREATE TABLE devices (
    device_hash   blob NOT NULL PRIMARY KEY,
    user_hash     blob NOT NULL,
    client_id     text NOT NULL,
    params        text NOT NULL,
    state         text NOT NULL CHECK (state IN ('waiting', 'approved', 'denied')),
    poll_interval integer NOT NULL,
    polled_at     datetime,
    created_at    datetime NOT NULL,
    expires_at    datetime NOT NULL
);

CREATE UNIQUE INDEX devices_user_hash ON devices (user_hash);
CREATE INDEX devices_expires_at ON devices (expires_at);

-- +goose Down
DROP TABLE devices;
