"""A laboratory: PostgreSQL from a package, and the sync workload of the story behind pgiostat."""
