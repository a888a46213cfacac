-- Whether we may ask for the size of a file: what is refused is an ERROR in the server's log.
SELECT /* pgiostat */
    pg_catalog.has_function_privilege('pg_catalog.pg_stat_file(pg_catalog.text,pg_catalog.bool)', 'EXECUTE')
