"""What can be made to go wrong, and what does so when asked."""
