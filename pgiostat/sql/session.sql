-- Settings of our own session: read only by construction, bounded, and enough memory that
-- pg_stat_statements() does not spill to disk (it needs some 30 MB at 50,000 entries).
SELECT /* pgiostat */
    set_config('default_transaction_read_only', 'on', false),
    set_config('statement_timeout', %(statement_timeout)s, false),
    set_config('lock_timeout', '1s', false),
    set_config('idle_in_transaction_session_timeout', '10s', false),
    set_config('work_mem', '64MB', false),
    set_config('jit', 'off', false),
    set_config('max_parallel_workers_per_gather', '0', false),
    set_config('timezone', 'UTC', false)
