"""The one place that says which rcrun this is; pyproject.toml reads it."""

VERSION = "0.1.0"
