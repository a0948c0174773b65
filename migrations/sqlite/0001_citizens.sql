-- +goose Up

-- People. What names or reaches a person is sealed, and found by keyed HMAC
-- (the columns *_key); two codici fiscali are never the same person.
CREATE TABLE citizens (
    id                    text        NOT NULL PRIMARY KEY,
    fiscal_code_key       blob        NOT NULL,
    fiscal_code           blob        NOT NULL,
    given_name            text        NOT NULL,
    family_name           text        NOT NULL,
    sex                   text        NOT NULL CHECK (sex IN ('', 'M', 'F')),
    birth_date            date,
    birth_place           text        NOT NULL,
    residence_street      text        NOT NULL,
    residence_postal_code text        NOT NULL,
    residence_locality    text        NOT NULL,
    residence_region      text        NOT NULL,
    residence_country     text        NOT NULL,
    italian_document      boolean     NOT NULL,
    category              text        NOT NULL CHECK (category IN ('citizen', 'intermediary')),
    health_card_key       blob,
    health_card_number    blob,
    health_card_expiry    date,
    deceased_on           date,
    created_at            datetime    NOT NULL,
    updated_at            datetime    NOT NULL,
    CHECK ((health_card_key IS NULL) = (health_card_number IS NULL)),
    CHECK (health_card_expiry IS NULL OR health_card_number IS NOT NULL)
);
CREATE UNIQUE INDEX citizens_fiscal_code_key ON citizens (fiscal_code_key);
CREATE INDEX citizens_health_card_key ON citizens (health_card_key);

-- The contacts that count, one of each kind at most. A household may share
-- one, so the key is not unique.
CREATE TABLE contacts (
    citizen_id text        NOT NULL REFERENCES citizens (id) ON DELETE CASCADE,
    kind       text        NOT NULL CHECK (kind IN ('mobile', 'email', 'pec')),
    value_key  blob        NOT NULL,
    value      blob        NOT NULL,
    verified   boolean     NOT NULL,
    created_at datetime    NOT NULL,
    updated_at datetime    NOT NULL,
    PRIMARY KEY (citizen_id, kind)
);
CREATE INDEX contacts_value_key ON contacts (value_key);
