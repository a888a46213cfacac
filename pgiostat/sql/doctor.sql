-- What a doctor asks first; nothing here needs more than the right to connect.
SELECT /* pgiostat */
    current_user::text,
    (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user),
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
    pg_is_in_recovery(),
    pg_backend_pid(),
    pg_postmaster_start_time(),
    clock_timestamp(),
    (SELECT array_agg(ARRAY[a.name, a.default_version, a.installed_version])
       FROM pg_catalog.pg_available_extensions AS a
      WHERE a.name IN ('pg_stat_statements', 'pg_stat_kcache')),
    (SELECT array_agg(ARRAY[coalesce(d.datname::text, ''), coalesce(r.rolname::text, ''),
                            split_part(c.line, '=', 1), substr(c.line, strpos(c.line, '=') + 1)])
       FROM pg_catalog.pg_db_role_setting AS s
       LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
       LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
       CROSS JOIN unnest(s.setconfig) AS c(line)
      WHERE split_part(c.line, '=', 1) = ANY(ARRAY[{names}])),
    (SELECT array_agg(p.name) FROM pg_catalog.pg_settings AS p WHERE p.pending_restart),
    (SELECT array_agg(ARRAY[p.name, p.source]) FROM pg_catalog.pg_settings AS p
      WHERE p.source IN ('command line', 'client') AND p.name = ANY(ARRAY[{names}])),
    ARRAY[{settings}]
