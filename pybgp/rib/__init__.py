"""Many peers, no I/O: paths, tables, best-path decision, policy and update groups (RFC 4271 section 9)."""
