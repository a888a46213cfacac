-- Settings of our session that could not be start-up options.
SELECT /* pgiostat */ pg_catalog.set_config(s.key, s.value, false)
FROM pg_catalog.jsonb_each_text(%(settings)s::pg_catalog.jsonb) AS s
