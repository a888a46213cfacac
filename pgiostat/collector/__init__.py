"""The collecting service: many servers, one thread each, one history.

`service` runs a `fleet` of `recorder`s; `config` and `targets` define the servers; `log`,
`incidents` and `interval_log` write the log; `metrics` counts for Prometheus. May import
`render.json`, `history.write`, `history.format`, `postgres` and what is below them. Must not import
`watch`, `dataframes` or `export`.
"""
