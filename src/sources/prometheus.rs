//! Prometheus, through its instant-query API.
