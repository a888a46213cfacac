-- Ordinary tables with their primary keys, and their columns of types that versions have.
WITH published AS MATERIALIZED (
    SELECT DISTINCT p.schemaname, p.tablename FROM pg_catalog.pg_publication_tables AS p
)
SELECT /* pgiostat */
    n.nspname::text AS schemaname,
    c.relname::text AS relname,
    CASE WHEN c.reltuples >= 0 THEN c.reltuples::int8 END AS reltuples,
    ARRAY(SELECT a.attname::text
            FROM pg_catalog.pg_index AS i
            JOIN pg_catalog.pg_attribute AS a
              ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
           WHERE i.indrelid = c.oid AND i.indisprimary
           ORDER BY array_position(i.indkey::int2[], a.attnum)) AS keys,
    ARRAY(SELECT a.attname::text
            FROM pg_catalog.pg_attribute AS a
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             AND a.atttypid::regtype = ANY (
                 '{int8,int4,numeric,xid,xid8,pg_lsn,timestamp,timestamptz,bytea}'::regtype[])
           ORDER BY a.attnum) AS candidates,
    ARRAY(SELECT a.attname::text
            FROM pg_catalog.pg_attribute AS a
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
           ORDER BY a.attnum) AS columns,
    p.tablename IS NOT NULL AS published
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN published AS p ON p.schemaname = n.nspname AND p.tablename = c.relname
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend AS d
                   WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
                     AND d.deptype = 'e')
ORDER BY n.nspname, c.relname
