-- Where pg_stat_kcache is, and which columns its function has: they follow its own version.
-- A member of the extension that is written in C, as for pg_stat_statements.
-- Its settings are there only where it was preloaded.
SELECT /* pgiostat */
    n.nspname,
    p.oid::pg_catalog.int8,
    p.proargnames::pg_catalog.text[],
    EXISTS (SELECT 1 FROM pg_catalog.pg_settings AS s
             WHERE pg_catalog.starts_with(s.name, 'pg_stat_kcache.')),
    pg_catalog.has_schema_privilege(n.oid, 'USAGE')
        AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE')
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
JOIN pg_catalog.pg_depend AS d
  ON d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
 AND d.refobjid OPERATOR(pg_catalog.=) e.oid
 AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
 AND d.deptype OPERATOR(pg_catalog.=) 'e'
JOIN pg_catalog.pg_proc AS p
  ON p.oid OPERATOR(pg_catalog.=) d.objid
 AND p.pronamespace OPERATOR(pg_catalog.=) n.oid
 AND p.proname OPERATOR(pg_catalog.=) 'pg_stat_kcache'
 AND p.pronargs OPERATOR(pg_catalog.=) 0
JOIN pg_catalog.pg_language AS l
  ON l.oid OPERATOR(pg_catalog.=) p.prolang AND l.lanname OPERATOR(pg_catalog.=) 'c'
WHERE e.extname OPERATOR(pg_catalog.=) 'pg_stat_kcache'
