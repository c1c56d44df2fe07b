"""Many peers without I/O: Adj-RIB-In, Loc-RIB, decision, export."""
