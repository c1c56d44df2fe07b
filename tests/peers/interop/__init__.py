"""The interoperability matrix: one row per feature, one column per daemon, every cell checked from both sides."""
