-- What ALTER ROLE and ALTER DATABASE set for a role in a database, that which holds last.
SELECT /* pgiostat */ u.setting::pg_catalog.text
FROM pg_catalog.pg_db_role_setting AS s
CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS u(setting)
WHERE (s.setrole OPERATOR(pg_catalog.=) 0::pg_catalog.oid
       OR s.setrole OPERATOR(pg_catalog.=) %(userid)s::pg_catalog.oid)
  AND (s.setdatabase OPERATOR(pg_catalog.=) 0::pg_catalog.oid
       OR s.setdatabase OPERATOR(pg_catalog.=) %(dbid)s::pg_catalog.oid)
ORDER BY s.setrole OPERATOR(pg_catalog.<>) 0::pg_catalog.oid,
         s.setdatabase OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
