-- Where pg_stat_kcache is, and which columns its function has: they follow its own version.
SELECT /* pgiostat */ n.nspname, p.proargnames
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
JOIN pg_catalog.pg_proc AS p ON p.pronamespace = n.oid AND p.proname = 'pg_stat_kcache'
WHERE e.extname = 'pg_stat_kcache'
