"""Images to order: their layers, sizes and compression chosen, written as OCI image layouts, described and pushed.

An image's bytes follow from its order alone, for the same versions of zlib and zstandard.
"""
