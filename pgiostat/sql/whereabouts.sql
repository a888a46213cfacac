-- Which process answers us, and where its data are: NULL if our role may not ask.
SELECT /* pgiostat */
    a.pid,
    a.backend_start,
    session_user::text AS "user",
    current_database()::text AS database,
    inet_client_port() AS port,
    CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE')
         THEN current_setting('data_directory') END AS data_directory
FROM pg_catalog.pg_stat_activity AS a
WHERE a.pid = pg_backend_pid()
