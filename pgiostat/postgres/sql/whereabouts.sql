-- Which process answers us, and where its data are: NULL if our role may not ask.
SELECT /* pgiostat */
    a.pid,
    a.backend_start,
    session_user::pg_catalog.text AS "user",
    pg_catalog.current_database()::pg_catalog.text AS database,
    pg_catalog.inet_client_port() AS port,
    CASE WHEN pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE')
         THEN pg_catalog.current_setting('data_directory') END AS data_directory
FROM pg_catalog.pg_stat_activity AS a
WHERE a.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
