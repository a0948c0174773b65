-- +goose Up

-- A client_id is a protocol string: imported ones need not be UUIDs.
CREATE TABLE clients (
    id         text     NOT NULL PRIMARY KEY,
    metadata   text     NOT NULL,
    disabled   boolean  NOT NULL,
    version    integer  NOT NULL,
    created_at datetime NOT NULL,
    updated_at datetime NOT NULL
);
CREATE INDEX clients_version ON clients (version);

-- The current secret of a client has no end; rotated ones have one.
CREATE TABLE client_secrets (
    client_id  text     NOT NULL REFERENCES clients (id),
    digest     blob     NOT NULL,
    created_at datetime NOT NULL,
    ends_at    datetime,
    PRIMARY KEY (client_id, digest)
);
CREATE UNIQUE INDEX client_secrets_current ON client_secrets (client_id) WHERE ends_at IS NULL;
CREATE INDEX client_secrets_ends_at ON client_secrets (ends_at);

-- One row: its version grows with every change of any client, and is what the
-- nodes ask for to know whether their memory is still true.
CREATE TABLE client_changes (
    id      integer NOT NULL PRIMARY KEY,
    version integer NOT NULL
);
INSERT INTO client_changes (id, version) VALUES (1, 0);
