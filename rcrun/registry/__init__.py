"""The OCI distribution API as a client: what a registry sends is checked before anybody sees it."""
