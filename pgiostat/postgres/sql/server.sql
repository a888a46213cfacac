-- Who answers.  pg_control_system() is refused on some managed services, and PostgreSQL looks at
-- the right to call a function even where a CASE leaves it out: it has a query of its own.
SELECT /* pgiostat */
    pg_catalog.current_setting('server_version') AS version,
    pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS version_num,
    pg_catalog.current_database() AS dbname,
    (SELECT d.oid::pg_catalog.int8 FROM pg_catalog.pg_database AS d
      WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()) AS dbid,
    current_user::pg_catalog.text AS "user",
    (SELECT r.oid::pg_catalog.int8 FROM pg_catalog.pg_roles AS r
      WHERE r.rolname OPERATOR(pg_catalog.=) current_user) AS userid,
    coalesce(pg_catalog.host(pg_catalog.inet_server_addr()), '') AS address,
    pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS is_identified
