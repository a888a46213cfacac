-- Counters of tables and of indexes as one value each, then the clock.
SELECT /* pgiostat */
    {tables},
    {indexes},
    pg_catalog.clock_timestamp()
