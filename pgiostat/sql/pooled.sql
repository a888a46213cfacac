-- Whether the settings that we connected with are not in force.
SELECT /* pgiostat */ current_setting('work_mem') <> %(work_mem)s
