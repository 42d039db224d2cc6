-- Who paused and unpaused what, when and why. People make it, so it stays small: it is
-- pruned to the newest thousand.
CREATE TABLE pause_history (
    seq   BIGINT PRIMARY KEY,
    turn  TEXT NOT NULL
);
