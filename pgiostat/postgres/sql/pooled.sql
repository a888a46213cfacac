-- Whether the settings that we connected with are not in force.
SELECT /* pgiostat */ pg_catalog.current_setting('work_mem') OPERATOR(pg_catalog.<>) %(work_mem)s
