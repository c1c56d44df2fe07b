"""Calico's resources as typed values (no I/O)."""
