"""A real single-node Kubernetes on a bare Linux machine, for trying Ondol out and for its tests.

It needs no container engine, no image registry and no GPU: Kubernetes is built from Go modules,
images from Debian and Python packages. ``python3.11 -m e2e.cluster up`` starts it, ``down`` removes
every trace of it but the cache.
"""
