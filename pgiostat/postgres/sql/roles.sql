SELECT /* pgiostat */ r.oid::pg_catalog.int8, r.rolname::pg_catalog.text
FROM pg_catalog.pg_roles AS r
