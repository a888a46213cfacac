-- One setting, NULL where the server has none of that name.
CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_settings AS s
                   WHERE s.name OPERATOR(pg_catalog.=) {name})
     THEN pg_catalog.current_setting({name}, true) END
