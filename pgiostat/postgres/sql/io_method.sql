SELECT /* pgiostat */ pg_catalog.current_setting('io_method', true)
