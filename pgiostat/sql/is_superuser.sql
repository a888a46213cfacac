SELECT /* pgiostat */ r.rolsuper FROM pg_catalog.pg_roles AS r
WHERE r.rolname OPERATOR(pg_catalog.=) session_user
