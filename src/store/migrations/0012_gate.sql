-- Who went through the gate all the same, why, and for which deployment. People make it,
-- so it stays small: it is pruned to the newest thousand.
CREATE TABLE gate_overrides (
    id       TEXT PRIMARY KEY,
    service  TEXT NOT NULL,
    gone     TEXT NOT NULL
);
-- What alerts were last heard of; pruned to the newest thousand.
CREATE TABLE alerts (
    id        TEXT PRIMARY KEY,
    service   TEXT NOT NULL,
    heard_ms  BIGINT NOT NULL,
    alert     TEXT NOT NULL
);
-- The gate asks for the deployments of one service.
CREATE INDEX watches_service ON watches (service, opened_ms);
