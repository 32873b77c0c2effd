"""Found before the package of this name that python-hcl2 brings along."""
