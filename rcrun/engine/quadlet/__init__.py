"""Quadlet: files that describe containers, volumes, networks and images, made into units of systemd (docs/quadlet.md)."""
