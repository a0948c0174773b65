-- +goose Up

-- One sign-in under way in one browser. What the service asked for is sealed
-- under the interaction's own id, of which only the hash is here. Until a
-- browser has opened it, browser_hash is NULL (a request that came by POST from
-- the service's site brings no cookie). Rows stay a day after they expire, so that a late visitor can be shown the way back.
CREATE TABLE interactions (
    id_hash          blob        NOT NULL PRIMARY KEY,
    browser_hash     blob,
    client_id        text        NOT NULL,
    sealed           blob,
    created_at       datetime    NOT NULL,
    requested_at     datetime    NOT NULL,
    expires_at       datetime    NOT NULL,
    session_id       text,
    authenticated_at datetime,
    chosen_session   text,
    other_person     boolean     NOT NULL DEFAULT false,
    change_id        text,
    change_ticket    blob,
    change_until     datetime,
    answer           text,
    answer_session   text,
    ended_at         datetime
);
CREATE INDEX interactions_browser ON interactions (browser_hash, created_at);
CREATE INDEX interactions_expires ON interactions (expires_at);
CREATE INDEX interactions_sealed ON interactions (expires_at) WHERE sealed IS NOT NULL;

-- A signed-in citizen in one browser. The cookie's secret is not here, only
-- its hash. expires_at is the absolute end; seen_at has no index on purpose,
-- because it changes with every request.
CREATE TABLE sessions (
    id              text        NOT NULL PRIMARY KEY,
    secret_hash     blob        NOT NULL,
    browser_hash    blob        NOT NULL,
    citizen_id      text        NOT NULL,
    acr             text        NOT NULL,
    amr             text        NOT NULL,
    pin_kind        text        NOT NULL,
    started_at      datetime    NOT NULL,
    auth_time       datetime    NOT NULL,
    seen_at         datetime    NOT NULL,
    expires_at      datetime    NOT NULL,
    previous_access datetime,
    ended_at        datetime,
    end_reason      text
);
CREATE UNIQUE INDEX sessions_secret ON sessions (secret_hash);
CREATE UNIQUE INDEX sessions_one_per_browser ON sessions (browser_hash) WHERE ended_at IS NULL;
CREATE INDEX sessions_citizen ON sessions (citizen_id) WHERE ended_at IS NULL;
CREATE INDEX sessions_expires ON sessions (expires_at);
