"""pybgp: a BGP speaker and routing library in pure Python."""
