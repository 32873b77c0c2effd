"""Kubernetes's documents played as pods, and written of what is there (docs/kube.md). Cold: only `kube` loads it."""
