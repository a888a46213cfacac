-- Definitions of the columns, indexes and foreign keys of tables, and of what they are partitions.
SELECT /* pgiostat */
    'index' AS kind,
    i.indexrelid::pg_catalog.int8 AS oid,
    i.indrelid::pg_catalog.int8 AS owner,
    c.relname::pg_catalog.text AS name,
    pg_catalog.pg_get_indexdef(i.indexrelid) AS text,
    CASE WHEN NOT i.indisvalid THEN 'invalid'
         WHEN i.indisprimary THEN 'primary key'
         WHEN i.indisunique THEN 'unique'
         ELSE '' END AS detail
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
WHERE i.indrelid OPERATOR(pg_catalog.=) ANY (%(relids)s::pg_catalog.oid[])
UNION ALL
SELECT
    'foreign key',
    k.oid::pg_catalog.int8,
    k.conrelid::pg_catalog.int8,
    k.conname::pg_catalog.text,
    pg_catalog.pg_get_constraintdef(k.oid),
    k.confrelid::pg_catalog.text
FROM pg_catalog.pg_constraint AS k
WHERE k.contype OPERATOR(pg_catalog.=) 'f'::pg_catalog."char"
  AND k.conrelid OPERATOR(pg_catalog.=) ANY (%(relids)s::pg_catalog.oid[])
UNION ALL
SELECT
    'columns',
    t.oid::pg_catalog.int8,
    t.oid::pg_catalog.int8,
    t.relname::pg_catalog.text,
    (
        SELECT pg_catalog.string_agg(
            pg_catalog.quote_ident(a.attname)
                OPERATOR(pg_catalog.||) ' '::pg_catalog.text
                OPERATOR(pg_catalog.||) pg_catalog.format_type(a.atttypid, a.atttypmod),
            ', ' ORDER BY a.attnum
        )
        FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid OPERATOR(pg_catalog.=) t.oid
          AND a.attnum OPERATOR(pg_catalog.>) 0
          AND NOT a.attisdropped
    ),
    COALESCE(pg_catalog.array_to_string(t.reloptions, ', '), '')
FROM pg_catalog.pg_class AS t
WHERE t.oid OPERATOR(pg_catalog.=) ANY (%(relids)s::pg_catalog.oid[])
  AND t.relkind OPERATOR(pg_catalog.=) ANY ('{r,m}'::pg_catalog."char"[])
UNION ALL
SELECT
    'partition',
    p.oid::pg_catalog.int8,
    c.oid::pg_catalog.int8,
    pg_catalog.concat(pn.nspname, '.', p.relname),
    pg_catalog.concat(rn.nspname, '.', r.relname),
    r.oid::pg_catalog.text
FROM pg_catalog.pg_class AS c
CROSS JOIN LATERAL pg_catalog.pg_partition_ancestors(c.oid) AS a (relid)
JOIN pg_catalog.pg_class AS p
  ON p.oid OPERATOR(pg_catalog.=) a.relid::pg_catalog.oid AND p.relispartition
JOIN pg_catalog.pg_namespace AS pn ON pn.oid OPERATOR(pg_catalog.=) p.relnamespace
JOIN pg_catalog.pg_class AS r
  ON r.oid OPERATOR(pg_catalog.=) pg_catalog.pg_partition_root(c.oid)::pg_catalog.oid
JOIN pg_catalog.pg_namespace AS rn ON rn.oid OPERATOR(pg_catalog.=) r.relnamespace
WHERE c.relispartition
  AND c.oid OPERATOR(pg_catalog.=) ANY (%(relids)s::pg_catalog.oid[])
