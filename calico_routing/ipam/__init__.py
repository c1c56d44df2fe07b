"""Address management over any datastore, by compare-and-swap."""
