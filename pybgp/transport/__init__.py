"""The asyncio side: the only sockets in pybgp."""
