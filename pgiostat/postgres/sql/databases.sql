SELECT /* pgiostat */
    d.oid::pg_catalog.int8,
    d.datname::pg_catalog.text,
    -- Where we may not connect a try would be a FATAL in the server's log.
    d.datallowconn AND pg_catalog.has_database_privilege(d.oid, 'CONNECT'),
    pg_catalog.pg_encoding_to_char(d.encoding)::pg_catalog.text
FROM pg_catalog.pg_database AS d
ORDER BY d.datname
