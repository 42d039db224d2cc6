-- Times are milliseconds since the epoch; documents are JSON text.

CREATE TABLE watches (
    id          TEXT PRIMARY KEY,
    service     TEXT NOT NULL,
    deployment  TEXT NOT NULL,
    is_open     BIGINT NOT NULL,
    -- Rows of the journal so far: what an update must find to be allowed.
    version     BIGINT NOT NULL,
    state       TEXT NOT NULL,
    opened_ms   BIGINT NOT NULL,
    updated_ms  BIGINT NOT NULL
);
CREATE INDEX watches_open ON watches (is_open, opened_ms);

CREATE TABLE journal (
    watch  TEXT NOT NULL,
    seq    BIGINT NOT NULL,
    at_ms  BIGINT NOT NULL,
    event  TEXT NOT NULL,
    PRIMARY KEY (watch, seq)
);

-- Announcements, by the announcer's id: the same id again is the same watch.
CREATE TABLE announcements (
    id           TEXT PRIMARY KEY,
    digest       TEXT NOT NULL,
    watch        TEXT NOT NULL,
    received_ms  BIGINT NOT NULL
);

-- One rollback per deployment, for ever.
CREATE TABLE permits (
    deployment  TEXT PRIMARY KEY,
    service     TEXT NOT NULL,
    watch       TEXT NOT NULL,
    issued_ms   BIGINT NOT NULL
);
CREATE INDEX permits_issued ON permits (issued_ms);

CREATE TABLE ledger (
    service   TEXT NOT NULL,
    revision  TEXT NOT NULL,
    entry     TEXT NOT NULL,
    PRIMARY KEY (service, revision)
);

CREATE TABLE seen (
    service  TEXT PRIMARY KEY,
    state    TEXT NOT NULL
);

CREATE TABLE outbox (
    seq        BIGINT PRIMARY KEY,
    watch      TEXT NOT NULL,
    kind       TEXT NOT NULL,
    notice     TEXT NOT NULL,
    address    TEXT NOT NULL,
    status     TEXT NOT NULL,
    attempts   BIGINT NOT NULL,
    next_ms    BIGINT NOT NULL,
    queued_ms  BIGINT NOT NULL,
    error      TEXT
);
CREATE INDEX outbox_pending ON outbox (status, watch, seq);

CREATE TABLE threads (
    watch   TEXT PRIMARY KEY,
    thread  TEXT NOT NULL
);

CREATE TABLE pauses (
    scope  TEXT PRIMARY KEY,
    pause  TEXT NOT NULL
);
