"""A Calico cluster on one machine: its nodes are network namespaces, on the host's kernel or in User-Mode Linux."""
