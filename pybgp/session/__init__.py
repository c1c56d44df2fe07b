"""One peer without I/O: states, timers and messages."""
