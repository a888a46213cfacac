-- Work under the role of an entry until the transaction ends. A role that sees all texts is none.
SELECT /* pgiostat */ pg_catalog.set_config('role', r.rolname::pg_catalog.text, true)
FROM pg_catalog.pg_roles AS r
WHERE r.oid OPERATOR(pg_catalog.=) %(userid)s::pg_catalog.oid
  AND NOT r.rolsuper
  AND NOT pg_catalog.pg_has_role(r.oid, 'pg_read_all_stats'::pg_catalog.name, 'USAGE')
