SELECT /* pgiostat */ clock_timestamp(), {info}
