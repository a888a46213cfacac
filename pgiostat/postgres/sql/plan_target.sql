-- The role of a statement, whether we may work under it, and who could run code with the rights of
-- a superuser: planning evaluates functions that are not volatile.
SELECT /* pgiostat */
    r.rolname::pg_catalog.text,
    NOT r.rolsuper AND pg_catalog.pg_has_role(r.oid, %(mode)s::pg_catalog.text),
    SESSION_USER::pg_catalog.text,
    s.rolsuper
        OR pg_catalog.pg_has_role(s.oid, 'pg_execute_server_program'::pg_catalog.name, 'MEMBER')
        OR pg_catalog.pg_has_role(s.oid, 'pg_write_server_files'::pg_catalog.name, 'MEMBER'),
    EXISTS (
        SELECT
        FROM pg_catalog.pg_proc AS p
        JOIN pg_catalog.pg_roles AS o ON o.oid OPERATOR(pg_catalog.=) p.proowner
        WHERE NOT o.rolsuper
    )
FROM pg_catalog.pg_roles AS r
JOIN pg_catalog.pg_roles AS s ON s.rolname OPERATOR(pg_catalog.=) SESSION_USER
WHERE r.oid OPERATOR(pg_catalog.=) %(userid)s::pg_catalog.oid
