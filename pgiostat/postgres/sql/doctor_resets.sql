-- When a cumulative view was last reset.
SELECT /* pgiostat */ pg_catalog.max(v.stats_reset) FROM pg_catalog.{view} AS v
