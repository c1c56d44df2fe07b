"""What is built on the library without I/O: recordings of sessions, and their replay."""
