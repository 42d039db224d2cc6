-- What the page's history asks for, beside the state that it is in. NULL: a version before
-- this one kept the watch last; who leads fills it in. `name` is what was announced, in lower
-- case and cut, because it is searched and nothing else.
ALTER TABLE watches ADD COLUMN name TEXT;
ALTER TABLE watches ADD COLUMN environment TEXT;
ALTER TABLE watches ADD COLUMN outcome TEXT;
-- Everything that is filtered by lies in the index: a row ends behind its state,
-- and only of those that are shown is the state read.
DROP INDEX watches_open;
CREATE INDEX watches_open ON watches (is_open, opened_ms, id, environment, outcome, service, name);
DROP INDEX watches_service;
CREATE INDEX watches_service ON watches (service, opened_ms, id, outcome);
-- What is to be filled in, in the order in which that is done.
CREATE INDEX watches_unfilled ON watches (opened_ms, id) WHERE is_open = 0 AND outcome IS NULL;
