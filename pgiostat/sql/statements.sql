-- The counters of all statements as one value: the number of rows, then each row packed.
-- No texts: the server would read its whole text file for them.
-- statement_timestamp() is before the entries are read, clock_timestamp() after.
SELECT /* pgiostat */
    statement_timestamp(),
    int8send(count(*)) || coalesce(string_agg({packed}, ''::bytea), ''::bytea),
    clock_timestamp(),
    {info}
FROM {schema}.pg_stat_statements(false) AS s
