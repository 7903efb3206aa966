"""A cluster's events, listed and watched without a gap: requests, protocol, lines, what is read from them."""
