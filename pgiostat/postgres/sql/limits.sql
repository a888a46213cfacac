-- Limits of a whole session end, where the server has them and the session is ours alone: we wait
-- between snapshots.
SELECT /* pgiostat */ pg_catalog.set_config(s.name, '0', false)
FROM pg_catalog.pg_settings AS s
WHERE s.name OPERATOR(pg_catalog.=) ANY ('{idle_session_timeout,transaction_timeout}'::pg_catalog.text[])
  AND s.setting OPERATOR(pg_catalog.<>) '0'
  AND pg_catalog.current_setting('work_mem') OPERATOR(pg_catalog.=) %(work_mem)s
