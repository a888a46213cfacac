-- Whether the names that the next statements call still stand for the extensions' functions: an
-- extension may have been moved, or its schema renamed, and another function may bear the name.
-- It is sent before each snapshot, so it has no parameters and one value comes back.
SELECT /* pgiostat */
    pg_catalog.count(*) OPERATOR(pg_catalog.=) {number}
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE l.lanname OPERATOR(pg_catalog.=) 'c'
  AND ({is_one_of_them})
