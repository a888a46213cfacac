SELECT /* pgiostat */ d.oid::int8, d.datname::text, d.datallowconn
FROM pg_catalog.pg_database AS d
ORDER BY d.datname
