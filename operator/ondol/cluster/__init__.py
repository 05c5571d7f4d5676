"""Everything that talks to the API server: client, store, queue, lease."""
