-- Tables behind relations of some names: of a view those that it reads, of a partition its table.
WITH RECURSIVE reached AS (
    SELECT c.oid AS named, c.oid AS relid
      FROM pg_catalog.pg_class AS c
      JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
     WHERE c.relname OPERATOR(pg_catalog.=) ANY (%(names)s::pg_catalog.name[])
       AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,f,m,v}'::pg_catalog."char"[])
       AND NOT pg_catalog.starts_with(n.nspname::pg_catalog.text, 'pg_')
    UNION
    SELECT reached.named, d.refobjid
      FROM reached
      JOIN pg_catalog.pg_class AS v
        ON v.oid OPERATOR(pg_catalog.=) reached.relid
       AND v.relkind OPERATOR(pg_catalog.=) 'v'::pg_catalog."char"
      JOIN pg_catalog.pg_rewrite AS r ON r.ev_class OPERATOR(pg_catalog.=) v.oid
      JOIN pg_catalog.pg_depend AS d
        ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass
       AND d.objid OPERATOR(pg_catalog.=) r.oid
       AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.refobjid OPERATOR(pg_catalog.<>) v.oid
)
SELECT /* pgiostat */ DISTINCT
    n.nspname::pg_catalog.text AS schemaname,
    c.relname::pg_catalog.text AS relname,
    bn.nspname::pg_catalog.text AS base_schemaname,
    b.relname::pg_catalog.text AS base_relname
FROM reached
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) reached.named
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_class AS t
  ON t.oid OPERATOR(pg_catalog.=) reached.relid
 AND t.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,f,m}'::pg_catalog."char"[])
JOIN pg_catalog.pg_class AS b
  ON b.oid OPERATOR(pg_catalog.=) CASE WHEN t.relispartition
         THEN pg_catalog.pg_partition_root(t.oid)::pg_catalog.oid ELSE t.oid END
JOIN pg_catalog.pg_namespace AS bn ON bn.oid OPERATOR(pg_catalog.=) b.relnamespace
ORDER BY 1, 2, 3, 4
