-- One snapshot.  The columns are computed in their order: pg_stat_statements first, the cumulative
-- views right after, with a clock on each side.
-- Tables come as one value each: the number of rows, then each row packed.  No texts: the server
-- would read its whole file of texts for them.
-- The reset time is read twice: if it moved in between, the snapshot is invalid.
SELECT /* pgiostat */
    pg_catalog.statement_timestamp(),
    {reset},
    {statements},
    pg_catalog.clock_timestamp(),
    {reset},
    {dealloc},
    pg_catalog.pg_postmaster_start_time(),
    pg_catalog.pg_is_in_recovery(),
    (SELECT b.stats_reset FROM pg_catalog.pg_stat_bgwriter AS b),
    (SELECT pg_catalog.min(a.xact_start) FROM pg_catalog.pg_stat_activity AS a
      WHERE a.backend_type OPERATOR(pg_catalog.=) 'client backend'
        AND a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()),
    ARRAY[{settings}],
    {tables}
