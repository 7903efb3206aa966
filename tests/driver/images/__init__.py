"""Images to order."""
