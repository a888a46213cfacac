-- Texts of statements not seen before, cut to a length, as many as fit into the byte cap.
SELECT /* pgiostat */ userid, dbid, queryid, query
FROM (SELECT t.userid::int8, t.dbid::int8, t.queryid, t.query,
             sum(octet_length(t.query)) OVER (ORDER BY t.queryid, t.userid, t.dbid, t.query) AS running,
             row_number() OVER (ORDER BY t.queryid, t.userid, t.dbid, t.query) AS place
      FROM (SELECT s.userid, s.dbid, s.queryid, left(s.query, %(characters)s) AS query
            FROM {schema}.pg_stat_statements(true) AS s
            WHERE s.queryid = ANY(%(queryids)s::int8[])) AS t) AS capped
WHERE running <= %(bytes)s OR place = 1
