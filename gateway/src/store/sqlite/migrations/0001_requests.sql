-- Times are microseconds since 1970, UTC. Names (providers, commands) are kept once and referred to by code.
CREATE TABLE names (
    code INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- One row for each request. What is small and changes comes first; the bytes come last.
CREATE TABLE requests (
    number             INTEGER PRIMARY KEY,
    id                 BLOB NOT NULL,    -- 16 bytes, UUID version 7
    provider           INTEGER NOT NULL, -- names.code
    command            INTEGER NOT NULL, -- names.code
    state              INTEGER NOT NULL, -- 0 waiting, 1 sent, 2 completed, 3 rejected, 4 failed, 5 unknown, 6 cancelled, 7 expired
    priority           INTEGER NOT NULL, -- 0 express, 1 regular
    process            INTEGER NOT NULL, -- 0 now, 1 with_run
    source             INTEGER NOT NULL, -- 0 api, 1 utility
    attempts           INTEGER NOT NULL,
    created            INTEGER NOT NULL,
    not_before         INTEGER,
    expires            INTEGER,
    retry_at           INTEGER,
    sent_at            INTEGER,
    finished_at        INTEGER,
    subscription       TEXT,
    reference          TEXT,
    platform_reference TEXT,
    failure            TEXT,             -- JSON
    answer             TEXT,             -- JSON
    body               BLOB NOT NULL,    -- JSON as it came; holds secrets
    request            BLOB NOT NULL,    -- what went out
    response           BLOB NOT NULL     -- what came back
) STRICT;

-- Every index costs each request: these are the lookups that must not walk the table.
CREATE UNIQUE INDEX requests_id ON requests (id);
CREATE INDEX requests_provider ON requests (provider);
CREATE INDEX requests_subscription ON requests (subscription) WHERE subscription IS NOT NULL;
CREATE INDEX requests_reference ON requests (reference) WHERE reference IS NOT NULL;
CREATE INDEX requests_unfinished ON requests (state, provider) WHERE state < 2;
CREATE INDEX requests_unsuccessful ON requests (state) WHERE state > 2;

-- Idempotency keys, by the number of the request each was accepted with.
CREATE TABLE keys (
    number  INTEGER PRIMARY KEY,
    key     TEXT NOT NULL UNIQUE,
    digest  BLOB NOT NULL,               -- 32 bytes, SHA-256
    created INTEGER NOT NULL
) STRICT;

-- State changes, oldest first; old ones are removed.
CREATE TABLE changes (
    sequence INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    number   INTEGER NOT NULL,           -- requests.number
    state    INTEGER NOT NULL,
    code     TEXT
) STRICT;
