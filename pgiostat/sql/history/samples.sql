-- The samples of a time, one for each interval and server.
SELECT server_id, label, dbid, ts, dur_us, qualities, statement_blocks, server_blocks, statements,
       appeared, vanished, dealloc, unknown, own_us, block_size, max_statements, track_io_timing,
       version_num, extension_version
FROM sample AS f
WHERE ts >= {since} AND ts < {until} AND {whose}
ORDER BY ts, server_id
