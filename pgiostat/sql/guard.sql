-- Which functions the names now stand for that the next statements call: their extension may have
-- been moved, or its schema renamed, and another function may bear the name.
SELECT /* pgiostat */
    p.oid::pg_catalog.int8,
    n.nspname::pg_catalog.text,
    p.proname::pg_catalog.text
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE p.oid OPERATOR(pg_catalog.=) ANY (%(oids)s::pg_catalog.oid[])
  AND l.lanname OPERATOR(pg_catalog.=) 'c'
