-- The library answers SQLSTATE 55000 here when it was not preloaded.
SELECT /* pgiostat */ 1 FROM {schema}.pg_stat_statements(false) LIMIT 1
