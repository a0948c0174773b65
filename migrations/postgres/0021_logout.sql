-- +goose Up
-- Where a session has signed its citizen in, of the services that want to hear
-- of its end. look_at is when somebody looks whether it has gone idle.
CREATE TABLE session_clients (
    session_id text NOT NULL,
    client_id  text NOT NULL,
    subject    text NOT NULL,
    look_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (session_id, client_id)
);

CREATE INDEX session_clients_expires_at ON session_clients (expires_at);
CREATE INDEX session_clients_look_at ON session_clients (look_at);

-- Services that are still to be told of a session's end, from server to server.
CREATE TABLE logouts (
    id         uuid NOT NULL PRIMARY KEY,
    client_id  text NOT NULL,
    session_id text NOT NULL,
    subject    text NOT NULL,
    attempts   integer NOT NULL,
    next_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE INDEX logouts_next_at ON logouts (next_at);

-- +goose Down
DROP TABLE logouts;
DROP TABLE session_clients;
