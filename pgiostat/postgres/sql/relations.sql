-- Names of relations, and to which table an index or a TOAST table belongs.
SELECT /* pgiostat */
    c.oid::pg_catalog.int8 AS relid,
    coalesce(owner.oid, c.oid)::pg_catalog.int8 AS owner,
    n.nspname::pg_catalog.text AS schemaname,
    coalesce(owner.relname, c.relname)::pg_catalog.text AS relname,
    CASE WHEN c.relkind OPERATOR(pg_catalog.=) ANY ('{r,m}'::pg_catalog."char"[]) THEN 'heap'
         WHEN c.relkind OPERATOR(pg_catalog.=) 't' THEN 'toast'
         WHEN indexed.relkind OPERATOR(pg_catalog.=) 't' THEN 'tidx'
         ELSE 'idx' END AS part,
    c.relname::pg_catalog.text AS own_name
FROM pg_catalog.pg_class AS c
LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid OPERATOR(pg_catalog.=) c.oid
LEFT JOIN pg_catalog.pg_class AS indexed ON indexed.oid OPERATOR(pg_catalog.=) i.indrelid
LEFT JOIN pg_catalog.pg_class AS toasted
       ON toasted.reltoastrelid OPERATOR(pg_catalog.=) coalesce(indexed.oid, c.oid)
      AND toasted.reltoastrelid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
LEFT JOIN pg_catalog.pg_class AS owner
       ON owner.oid OPERATOR(pg_catalog.=) coalesce(toasted.oid, indexed.oid)
LEFT JOIN pg_catalog.pg_namespace AS n
       ON n.oid OPERATOR(pg_catalog.=) coalesce(owner.relnamespace, c.relnamespace)
WHERE c.oid OPERATOR(pg_catalog.=) ANY (%(relids)s::pg_catalog.oid[])
