-- What the daemons on this store sign with when one passes a request on to another.
CREATE TABLE shared_secret (
    name    TEXT PRIMARY KEY,
    secret  TEXT NOT NULL
);
