"""Registries of images, asked how large images are."""
