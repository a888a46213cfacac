"""Watch a server live: what reads, now."""
