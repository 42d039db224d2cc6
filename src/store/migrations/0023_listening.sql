-- Stretches of time in which a daemon led and took what scheduled jobs tell: a run that is not
-- known to have happened outside of them has not been missed. Pruned to the newest.
CREATE TABLE listening (
    from_ms  BIGINT NOT NULL PRIMARY KEY,
    until_ms BIGINT NOT NULL
);
