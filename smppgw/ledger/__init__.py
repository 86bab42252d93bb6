"""The durable queue: the one place where what happened is written, and the only one that knows SQL.

`database` opens the file, `jobs` loads and inspects jobs, `turn` records and claims, `writer` is
the gateway's thread.
"""
