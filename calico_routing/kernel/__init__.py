"""Links, addresses and routes of the Linux kernel behind protocol classes."""
