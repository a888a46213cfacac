-- Whether our session has a superuser's rights: as the role that connected, or as the one it took.
SELECT /* pgiostat */ pg_catalog.bool_or(r.rolsuper)
FROM pg_catalog.pg_roles AS r
WHERE r.rolname OPERATOR(pg_catalog.=) session_user
   OR r.rolname OPERATOR(pg_catalog.=) current_user
