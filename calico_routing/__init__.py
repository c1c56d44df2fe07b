"""Turns the Calico data model and the routes that BGP learns into kernel routes."""
