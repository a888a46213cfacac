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
    ARRAY[{settings}]
