-- Values in configuration files, of which the last one counts; superusers alone may read them.
SELECT /* pgiostat */ DISTINCT ON (f.name) f.name, f.setting
FROM pg_catalog.pg_file_settings AS f
WHERE f.name OPERATOR(pg_catalog.=) ANY (%(names)s)
ORDER BY f.name, f.seqno DESC
