-- Settings that decide plans and reads, those of databases and roles too, and the server's start.
SELECT /* pgiostat */
    'setting' AS kind,
    0::pg_catalog.int8 AS oid,
    0::pg_catalog.int8 AS owner,
    n.name,
    pg_catalog.current_setting(n.name, true) AS text
FROM pg_catalog.unnest(%(names)s::pg_catalog.text[]) AS n(name)
WHERE pg_catalog.current_setting(n.name, true) IS NOT NULL
UNION ALL
SELECT
    'setting',
    r.setdatabase::pg_catalog.int8,
    r.setrole::pg_catalog.int8,
    pg_catalog.split_part(c.config, '=', 1),
    pg_catalog.substr(c.config, pg_catalog.strpos(c.config, '=') OPERATOR(pg_catalog.+) 1)
FROM pg_catalog.pg_db_role_setting AS r
CROSS JOIN LATERAL pg_catalog.unnest(r.setconfig) AS c(config)
WHERE pg_catalog.split_part(c.config, '=', 1)
      OPERATOR(pg_catalog.=) ANY (%(names)s::pg_catalog.text[])
UNION ALL
SELECT
    'server', 0::pg_catalog.int8, 0::pg_catalog.int8, 'start_time',
    pg_catalog.to_char(
        pg_catalog.timezone('UTC', pg_catalog.pg_postmaster_start_time()),
        'YYYY-MM-DD"T"HH24:MI:SS"Z"')
