-- Texts of new statements, cut to a length, as many as fit into the byte cap.
SELECT /* pgiostat */ userid, dbid, queryid, query
FROM (SELECT t.userid::pg_catalog.int8, t.dbid::pg_catalog.int8, t.queryid, t.query,
             pg_catalog.sum(pg_catalog.octet_length(t.query))
                 OVER (ORDER BY t.queryid, t.userid, t.dbid, t.query) AS running,
             pg_catalog.row_number()
                 OVER (ORDER BY t.queryid, t.userid, t.dbid, t.query) AS place
      FROM (SELECT s.userid, s.dbid, s.queryid,
                   pg_catalog.left(s.query, %(characters)s::pg_catalog.int4) AS query
            FROM {schema}.pg_stat_statements(true) AS s
            WHERE s.queryid OPERATOR(pg_catalog.=) ANY (%(queryids)s::pg_catalog.int8[])) AS t
     ) AS capped
WHERE running OPERATOR(pg_catalog.<=) %(bytes)s OR place OPERATOR(pg_catalog.=) 1
