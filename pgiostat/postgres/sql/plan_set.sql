-- A setting until the transaction ends.
SELECT /* pgiostat */ pg_catalog.set_config(%(name)s, %(value)s, true)
