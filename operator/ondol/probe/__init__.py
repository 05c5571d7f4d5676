"""Questions to the running proxies and frontends, asked as their users would ask them."""
