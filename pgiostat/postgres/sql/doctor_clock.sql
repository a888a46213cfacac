-- The server's own measure of what reading its clock costs: with timing and without.
EXPLAIN (ANALYZE, FORMAT JSON, TIMING {timing})
SELECT /* pgiostat */ 1 FROM pg_catalog.generate_series(1, {rows})
