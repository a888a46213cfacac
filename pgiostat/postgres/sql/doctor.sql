-- What doctor reads first; nothing here needs more than the right to connect.
SELECT /* pgiostat */
    current_user::pg_catalog.text,
    (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r
      WHERE r.rolname OPERATOR(pg_catalog.=) current_user),
    pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
    EXISTS (SELECT 1 FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) 'pgiostat'),
    session_user::pg_catalog.text,
    -- A refusal would be an ERROR in the server's log, so it is not queried.
    pg_catalog.has_table_privilege('pg_catalog.pg_file_settings', 'SELECT')
        AND pg_catalog.has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE'),
    pg_catalog.pg_is_in_recovery(),
    pg_catalog.pg_backend_pid(),
    pg_catalog.pg_postmaster_start_time(),
    pg_catalog.clock_timestamp(),
    (SELECT pg_catalog.array_agg(ARRAY[a.name, a.default_version, a.installed_version])
       FROM pg_catalog.pg_available_extensions AS a
      WHERE a.name OPERATOR(pg_catalog.=)
            ANY ('{{pg_stat_statements,pg_stat_kcache}}'::pg_catalog.name[])),
    (SELECT pg_catalog.array_agg(ARRAY[
                coalesce(d.datname::pg_catalog.text, ''), coalesce(r.rolname::pg_catalog.text, ''),
                pg_catalog.split_part(c.line, '=', 1),
                pg_catalog.substr(
                    c.line, pg_catalog.strpos(c.line, '=') OPERATOR(pg_catalog.+) 1)])
       FROM pg_catalog.pg_db_role_setting AS s
       LEFT JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) s.setdatabase
       LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) s.setrole
       CROSS JOIN pg_catalog.unnest(s.setconfig) AS c(line)
      WHERE pg_catalog.split_part(c.line, '=', 1) OPERATOR(pg_catalog.=) ANY (ARRAY[{names}])),
    (SELECT pg_catalog.array_agg(p.name) FROM pg_catalog.pg_settings AS p WHERE p.pending_restart),
    (SELECT pg_catalog.array_agg(ARRAY[p.name, p.source]) FROM pg_catalog.pg_settings AS p
      WHERE p.source OPERATOR(pg_catalog.=) ANY ('{{"command line",client}}'::pg_catalog.text[])
        AND p.name OPERATOR(pg_catalog.=) ANY (ARRAY[{names}])),
    -- A managed service has settings or functions of its own.
    CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_proc AS p
                       WHERE p.proname OPERATOR(pg_catalog.=) 'aurora_version'
                         AND p.pronamespace OPERATOR(pg_catalog.=)
                             'pg_catalog'::pg_catalog.regnamespace)
         THEN 'Amazon Aurora'
         ELSE coalesce((SELECT pg_catalog.min(m.provider)
                          FROM (VALUES ('rds', 'Amazon RDS'), ('alloydb', 'Google AlloyDB'),
                                       ('cloudsql', 'Google Cloud SQL'), ('azure', 'Azure'))
                               AS m(prefix, provider)
                          JOIN pg_catalog.pg_settings AS s
                            ON pg_catalog.split_part(s.name, '.', 1)
                               OPERATOR(pg_catalog.=) m.prefix), '') END,
    ARRAY[{settings}]
