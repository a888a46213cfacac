FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS s ON s.oid OPERATOR(pg_catalog.=) i.indexrelid
WHERE s.relkind OPERATOR(pg_catalog.=) 'i'
  AND {chosen}
