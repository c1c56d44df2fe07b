"""Bidirectional Forwarding Detection without I/O (RFC 5880 to 5883)."""
