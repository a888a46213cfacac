-- Who answers.  pg_control_system() is refused on some managed services: then 0.
SELECT /* pgiostat */
    current_setting('server_version') AS version,
    current_setting('server_version_num')::int AS version_num,
    current_database() AS dbname,
    (SELECT d.oid::int8 FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()) AS dbid,
    current_user::text AS "user",
    (SELECT r.oid::int8 FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user) AS userid,
    coalesce(host(inet_server_addr()), '') AS address,
    CASE WHEN has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
         THEN (SELECT c.system_identifier FROM pg_catalog.pg_control_system() AS c)
         ELSE 0 END AS system_identifier
