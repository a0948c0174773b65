-- +goose Up
-- What a transport told about a delivery after it had accepted it: each thing
-- once, however often it is told. The rows go with their delivery.
CREATE TABLE delivery_outcomes (
    delivery_id text        NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    result      text        NOT NULL,
    at          datetime    NOT NULL,
    uncertified boolean     NOT NULL,
    told_at     datetime    NOT NULL,
    PRIMARY KEY (delivery_id, result)
);

-- How far the receipts of a mailbox have been read, and by when its reader
-- must have shown a sign of life.
CREATE TABLE receipt_mailboxes (
    mailbox      text        NOT NULL PRIMARY KEY,
    uid_validity integer     NOT NULL,
    last_uid     integer     NOT NULL,
    leased_till  datetime
);
