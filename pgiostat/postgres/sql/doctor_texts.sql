SELECT /* pgiostat */ f.size FROM pg_catalog.pg_stat_file(%(path)s, true) AS f
