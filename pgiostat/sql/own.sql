-- Our own reading, by its text: where no mark tells a reset, its absence does.
SELECT /* pgiostat */ s.queryid
FROM {schema}.pg_stat_statements(true) AS s
WHERE s.userid = %(userid)s::oid AND s.dbid = %(dbid)s::oid
  AND position('/* pgiostat */' IN left(s.query, 100)) > 0
  AND position('statement_timestamp()' IN left(s.query, 100)) > 0
ORDER BY s.calls DESC, s.queryid
LIMIT 1
