-- Messages go several ways, and each keeps its own order within a watch: one that is dead
-- holds up no other.
ALTER TABLE outbox ADD COLUMN route TEXT NOT NULL DEFAULT 'slack';
CREATE INDEX outbox_routes ON outbox (status, route, watch, seq);
