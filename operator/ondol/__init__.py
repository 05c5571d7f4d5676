"""Ondol: an in-house LLM service on Kubernetes, as YAML."""

__version__ = "0.1.0"
