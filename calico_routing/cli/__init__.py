"""One module for each pybgp-node command."""
