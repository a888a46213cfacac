-- Tables and views with their primary keys, and their columns of types that versions have.
WITH published AS MATERIALIZED (
    SELECT DISTINCT p.schemaname, p.tablename FROM pg_catalog.pg_publication_tables AS p
)
SELECT /* pgiostat */
    n.nspname::pg_catalog.text AS schemaname,
    c.relname::pg_catalog.text AS relname,
    CASE WHEN c.reltuples OPERATOR(pg_catalog.>=) 0
         THEN c.reltuples::pg_catalog.int8 END AS reltuples,
    ARRAY(SELECT a.attname::pg_catalog.text
            FROM pg_catalog.pg_index AS i
            JOIN pg_catalog.pg_attribute AS a
              ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid
             AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey)
           WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid AND i.indisprimary
           ORDER BY pg_catalog.array_position(i.indkey::pg_catalog.int2[], a.attnum)) AS keys,
    ARRAY(SELECT a.attname::pg_catalog.text
            FROM pg_catalog.pg_attribute AS a
           WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid
             AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
             AND a.atttypid OPERATOR(pg_catalog.=) ANY (
                 ARRAY(SELECT t.oid FROM pg_catalog.pg_type AS t
                        WHERE t.typnamespace OPERATOR(pg_catalog.=) s.oid
                          AND t.typname OPERATOR(pg_catalog.=) ANY (
                              '{int8,int4,numeric,xid,xid8,pg_lsn,timestamp,timestamptz,bytea}'
                              ::pg_catalog.name[])))
           ORDER BY a.attnum) AS candidates,
    ARRAY(SELECT a.attname::pg_catalog.text
            FROM pg_catalog.pg_attribute AS a
           WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid
             AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
           ORDER BY a.attnum) AS columns,
    p.tablename IS NOT NULL AS published,
    c.relkind OPERATOR(pg_catalog.=) ANY ('{v,m}'::pg_catalog."char"[]) AS is_view
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_namespace AS s ON s.nspname OPERATOR(pg_catalog.=) 'pg_catalog'
LEFT JOIN published AS p
       ON p.schemaname OPERATOR(pg_catalog.=) n.nspname
      AND p.tablename OPERATOR(pg_catalog.=) c.relname
WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,f,v,m}'::pg_catalog."char"[]) AND NOT c.relispartition
  AND NOT pg_catalog.starts_with(n.nspname::pg_catalog.text, 'pg_')
  AND n.nspname OPERATOR(pg_catalog.<>) 'information_schema'
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend AS d
                   WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
                     AND d.objid OPERATOR(pg_catalog.=) c.oid
                     AND d.deptype OPERATOR(pg_catalog.=) 'e')
ORDER BY n.nspname, c.relname
