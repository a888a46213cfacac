-- Where pg_stat_statements is and which columns it has: the extension's version decides about
-- them, not the server's, and its schema need not be on the search_path.
-- Anybody may give an object the name of one of its functions. What we call is a member of the
-- extension and written in C, which superusers alone may install.
SELECT /* pgiostat */
    n.nspname AS schema,
    e.extversion AS version,
    pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS is_usable,
    (SELECT p.proargnames::pg_catalog.text[]
       FROM pg_catalog.pg_proc AS p
       JOIN pg_catalog.pg_depend AS d ON d.objid OPERATOR(pg_catalog.=) p.oid
       JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang
      WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
        AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
        AND d.refobjid OPERATOR(pg_catalog.=) e.oid
        AND d.deptype OPERATOR(pg_catalog.=) 'e'
        AND l.lanname OPERATOR(pg_catalog.=) 'c'
        AND p.pronamespace OPERATOR(pg_catalog.=) n.oid
        AND p.proname OPERATOR(pg_catalog.=) 'pg_stat_statements'
        AND pg_catalog.oidvectortypes(p.proargtypes) OPERATOR(pg_catalog.=) 'boolean') AS columns,
    EXISTS (
     SELECT 1
       FROM pg_catalog.pg_proc AS p
       JOIN pg_catalog.pg_depend AS d ON d.objid OPERATOR(pg_catalog.=) p.oid
       JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang
      WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
        AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
        AND d.refobjid OPERATOR(pg_catalog.=) e.oid
        AND d.deptype OPERATOR(pg_catalog.=) 'e'
        AND l.lanname OPERATOR(pg_catalog.=) 'c'
        AND p.pronamespace OPERATOR(pg_catalog.=) n.oid
        AND p.proname OPERATOR(pg_catalog.=) 'pg_stat_statements_info'
        AND p.pronargs OPERATOR(pg_catalog.=) 0) AS has_info,
    r.rolname::pg_catalog.text AS owner,
    r.rolsuper AS is_owner_superuser,
    EXISTS (
     SELECT 1
       FROM pg_catalog.aclexplode(
                coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) AS a
      WHERE a.grantee OPERATOR(pg_catalog.=) 0::pg_catalog.oid
        AND a.privilege_type OPERATOR(pg_catalog.=) 'CREATE') AS is_schema_open
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) e.extowner
WHERE e.extname OPERATOR(pg_catalog.=) 'pg_stat_statements'
