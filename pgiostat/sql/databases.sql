SELECT /* pgiostat */ d.oid::pg_catalog.int8, d.datname::pg_catalog.text, d.datallowconn
FROM pg_catalog.pg_database AS d
ORDER BY d.datname
