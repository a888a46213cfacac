FROM pg_catalog.pg_class AS s
WHERE s.relkind OPERATOR(pg_catalog.=) ANY ('{{r,m,t}}'::pg_catalog."char"[])
  AND {chosen}
