-- The same, row by row, for servers and poolers in between that cannot pack.
SELECT /* pgiostat */ {listed}
FROM {schema}.pg_stat_statements(false) AS s
