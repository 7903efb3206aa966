"""What brings records into the collector, and the first of it: a cluster's events, listed and watched without a gap."""
