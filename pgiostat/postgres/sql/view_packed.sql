-- All rows of a table as one value: their number, then each row packed.
(SELECT pg_catalog.int8send(pg_catalog.count(*)) OPERATOR(pg_catalog.||)
        coalesce(pg_catalog.string_agg({packed}, ''::pg_catalog.bytea), ''::pg_catalog.bytea)
   {source})
