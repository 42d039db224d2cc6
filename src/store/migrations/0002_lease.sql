-- Which of several daemons on one store leads. One row, made here, so that who
-- leads first is decided by an update like every later change.
CREATE TABLE lease (
    name      TEXT PRIMARY KEY,
    owner     TEXT NOT NULL,
    -- Counts the tenures: whatever is written names the one it belongs to. Unique, so
    -- that Postgres takes a change of it for a change of the row's key: it waits for
    -- whoever holds the row, and a renewal, which leaves it alone, does not.
    epoch     BIGINT NOT NULL UNIQUE,
    -- The database's time.
    until_ms  BIGINT NOT NULL,
    url       TEXT NOT NULL
);
INSERT INTO lease (name, owner, epoch, until_ms, url) VALUES ('engine', '', 0, 0, '');
