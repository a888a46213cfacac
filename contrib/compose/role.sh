#!/bin/bash
# Runs once, when the server's data directory is made: the extension, and a role that reads it.
set -euo pipefail

psql -v ON_ERROR_STOP=1 -v password="$PGIOSTAT_PASSWORD" --username postgres --dbname postgres <<'SQL'
CREATE EXTENSION pg_stat_statements;
CREATE ROLE pgiostat LOGIN PASSWORD :'password';
GRANT pg_read_all_stats TO pgiostat;
SQL
