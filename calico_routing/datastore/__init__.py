"""Where the resources live: one interface, several stores."""
