-- Our own query, by its text: where no marker shows a reset, its absence does.
SELECT /* pgiostat */ s.queryid
FROM {schema}.pg_stat_statements(true) AS s
WHERE s.userid OPERATOR(pg_catalog.=) %(userid)s::pg_catalog.oid
  AND s.dbid OPERATOR(pg_catalog.=) %(dbid)s::pg_catalog.oid
  AND pg_catalog.strpos(pg_catalog.left(s.query, 100), '/* pgiostat */') OPERATOR(pg_catalog.>) 0
  AND pg_catalog.strpos(pg_catalog.left(s.query, 100), 'statement_timestamp()')
      OPERATOR(pg_catalog.>) 0
ORDER BY s.calls DESC, s.queryid
LIMIT 1
