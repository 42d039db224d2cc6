-- When scheduled jobs told that they ran; pruned to the newest few hundred of each job.
CREATE TABLE heartbeats (
    job    TEXT NOT NULL,
    at_ms  BIGINT NOT NULL,
    -- 0: the job said that it failed.
    well   BIGINT NOT NULL,
    PRIMARY KEY (job, at_ms)
);
