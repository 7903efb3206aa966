"""The moments of jobs, pods and pulls in order, and what lies between them."""
