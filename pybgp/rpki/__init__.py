"""Route origin validation and the protocol that feeds it, without I/O (RFC 6811, RFC 8210)."""
