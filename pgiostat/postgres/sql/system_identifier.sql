-- The same for a server and its copies, standbys among them.
SELECT /* pgiostat */ c.system_identifier FROM pg_catalog.pg_control_system() AS c
