SELECT /* pgiostat */
    d.oid::pg_catalog.int8, d.datname::pg_catalog.text, d.datallowconn,
    pg_catalog.pg_encoding_to_char(d.encoding)::pg_catalog.text
FROM pg_catalog.pg_database AS d
ORDER BY d.datname
