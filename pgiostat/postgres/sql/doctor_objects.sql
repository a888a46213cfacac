-- Relations and functions with the names of the extension's own that are members of no extension.
SELECT /* pgiostat */
    o.kind,
    n.nspname::pg_catalog.text,
    o.name::pg_catalog.text,
    o.arguments,
    r.rolname::pg_catalog.text
FROM (SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, c.relnamespace, c.relname,
             CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'v' THEN 'view'
                  WHEN c.relkind OPERATOR(pg_catalog.=) 'm' THEN 'materialized view'
                  WHEN c.relkind OPERATOR(pg_catalog.=) 'f' THEN 'foreign table'
                  ELSE 'table' END,
             '', c.relowner
        FROM pg_catalog.pg_class AS c
       WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::pg_catalog."char"[])
      UNION ALL
      SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, p.pronamespace, p.proname,
             CASE WHEN p.prokind OPERATOR(pg_catalog.=) 'a' THEN 'aggregate'
                  WHEN p.prokind OPERATOR(pg_catalog.=) 'p' THEN 'procedure'
                  ELSE 'function' END,
             pg_catalog.format('(%s)', pg_catalog.pg_get_function_identity_arguments(p.oid)),
             p.proowner
        FROM pg_catalog.pg_proc AS p) AS o(classid, oid, schema, name, kind, arguments, owner)
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) o.schema
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) o.owner
WHERE o.name OPERATOR(pg_catalog.=) ANY (
      '{pg_stat_statements,pg_stat_statements_info,pg_stat_statements_reset,
        pg_stat_kcache,pg_stat_kcache_detail,pg_stat_kcache_reset}'::pg_catalog.name[])
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend AS d
                   WHERE d.classid OPERATOR(pg_catalog.=) o.classid
                     AND d.objid OPERATOR(pg_catalog.=) o.oid
                     AND d.deptype OPERATOR(pg_catalog.=) 'e')
ORDER BY n.nspname, o.name, o.arguments
