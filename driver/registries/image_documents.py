"""The documents that make an image, at a registry or in a layout: what they are called, and how large one may be.

Source: OCI image specification, media-types.md and descriptor.md; Docker, manifest v2 schema 2, with the same keys.
"""

import re

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPES = (MANIFEST_TYPE, "application/vnd.docker.distribution.manifest.v2+json")
INDEX_TYPES = (INDEX_TYPE, "application/vnd.docker.distribution.manifest.list.v2+json")
MOST_DOCUMENT_BYTES = 4 << 20  # registries refuse manifests that are larger
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
