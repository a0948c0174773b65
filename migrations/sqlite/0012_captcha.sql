-- +goose Up

-- One captcha shown in one form of one browser. Its characters are not here:
-- they follow from the id, of which only the hash is kept, and a key. It is
-- answered by setting spent_at, once, and drawn a limited number of times.
CREATE TABLE captchas (
    id_hash      blob        NOT NULL PRIMARY KEY,
    browser_hash blob        NOT NULL,
    form         text        NOT NULL,
    drawn        integer     NOT NULL DEFAULT 0,
    expires_at   datetime    NOT NULL,
    spent_at     datetime
);
CREATE INDEX captchas_expires ON captchas (expires_at);
