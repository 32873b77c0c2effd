"""Kubernetes's documents: YAML → values that know their place, quantities, the fields that there are. Pure and cold."""
