-- The cumulative views, right after the statements, and the marks that move when counters
-- start anew.
SELECT /* pgiostat */
    pg_postmaster_start_time(),
    pg_is_in_recovery(),
    (SELECT b.stats_reset FROM pg_catalog.pg_stat_bgwriter AS b),
    {info},
    ARRAY[{settings}],
    {tables}
