"""Definitions of several builds, as docker's `buildx bake` reads them: HCL, JSON or compose → targets. Pure."""
