-- Where pg_stat_statements is and which columns it has: the extension's version decides about
-- them, not the server's, and its schema need not be on the search_path.
-- Anybody may give an object the name of one of its functions. What we call is a member of the
-- extension and written in C, which superusers alone may install.
-- Who owns the schema can rename it and put another one in its place: for pg_database_owner that
-- is the owner of the database.
SELECT /* pgiostat */
    n.nspname AS schema,
    e.extversion AS version,
    pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS is_usable,
    statements.oid::pg_catalog.int8 AS statements,
    statements.proargnames::pg_catalog.text[] AS columns,
    info.oid::pg_catalog.int8 AS info,
    (SELECT pg_catalog.array_agg(DISTINCT r.rolname::pg_catalog.text)
       FROM pg_catalog.pg_roles AS r
      WHERE NOT r.rolsuper
        AND (r.oid OPERATOR(pg_catalog.=)
             ANY (ARRAY[e.extowner, statements.proowner, info.proowner])
          OR r.oid OPERATOR(pg_catalog.=)
             CASE WHEN s.rolname OPERATOR(pg_catalog.=) 'pg_database_owner'
                  THEN d.datdba ELSE n.nspowner END)) AS untrusted,
    EXISTS (
     SELECT 1
       FROM pg_catalog.aclexplode(
                coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) AS a
      WHERE a.grantee OPERATOR(pg_catalog.=) 0::pg_catalog.oid
        AND a.privilege_type OPERATOR(pg_catalog.=) 'CREATE') AS is_schema_open,
    pg_catalog.has_function_privilege(statements.oid, 'EXECUTE')
        AND coalesce(pg_catalog.has_function_privilege(info.oid, 'EXECUTE'), true) AS is_executable
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
JOIN pg_catalog.pg_database AS d
  ON d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
LEFT JOIN pg_catalog.pg_roles AS s ON s.oid OPERATOR(pg_catalog.=) n.nspowner
LEFT JOIN LATERAL (
     SELECT p.oid, p.proargnames, p.proowner
       FROM pg_catalog.pg_proc AS p
       JOIN pg_catalog.pg_depend AS m ON m.objid OPERATOR(pg_catalog.=) p.oid
       JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang
      WHERE m.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
        AND m.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
        AND m.refobjid OPERATOR(pg_catalog.=) e.oid
        AND m.deptype OPERATOR(pg_catalog.=) 'e'
        AND l.lanname OPERATOR(pg_catalog.=) 'c'
        AND p.pronamespace OPERATOR(pg_catalog.=) n.oid
        AND p.proname OPERATOR(pg_catalog.=) 'pg_stat_statements'
        AND pg_catalog.oidvectortypes(p.proargtypes) OPERATOR(pg_catalog.=) 'boolean'
     ) AS statements ON true
LEFT JOIN LATERAL (
     SELECT p.oid, p.proowner
       FROM pg_catalog.pg_proc AS p
       JOIN pg_catalog.pg_depend AS m ON m.objid OPERATOR(pg_catalog.=) p.oid
       JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang
      WHERE m.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
        AND m.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
        AND m.refobjid OPERATOR(pg_catalog.=) e.oid
        AND m.deptype OPERATOR(pg_catalog.=) 'e'
        AND l.lanname OPERATOR(pg_catalog.=) 'c'
        AND p.pronamespace OPERATOR(pg_catalog.=) n.oid
        AND p.proname OPERATOR(pg_catalog.=) 'pg_stat_statements_info'
        AND p.pronargs OPERATOR(pg_catalog.=) 0
     ) AS info ON true
WHERE e.extname OPERATOR(pg_catalog.=) 'pg_stat_statements'
