-- Where pg_stat_statements is and which columns it has: the extension's version decides about
-- them, not the server's, and its schema need not be on the search_path.
SELECT /* pgiostat */
    n.nspname AS schema,
    e.extversion AS version,
    CASE WHEN has_schema_privilege(n.oid, 'USAGE') THEN
         (SELECT array_agg(a.attname::text)
            FROM pg_catalog.pg_attribute AS a
           WHERE a.attrelid = to_regclass(format('%%I.pg_stat_statements', n.nspname))
             AND a.attnum > 0 AND NOT a.attisdropped) END AS columns,
    CASE WHEN has_schema_privilege(n.oid, 'USAGE') THEN
         to_regclass(format('%%I.pg_stat_statements_info', n.nspname)) IS NOT NULL END AS has_info
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements'
