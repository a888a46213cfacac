SELECT /* pgiostat */ r.oid::int8, r.rolname::text FROM pg_catalog.pg_roles AS r
