"""Octets to values and back; knows no session, no table and no socket."""
