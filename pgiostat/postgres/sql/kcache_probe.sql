-- The library answers with an error here when it was not preloaded.
SELECT /* pgiostat */ 1 FROM {schema}.pg_stat_kcache() LIMIT 1
