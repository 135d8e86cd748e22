"""Audio on disk to a described, split corpus: manifests, the open-music recipe, attribution."""

from bandtok.data.manifest import (
    MANIFEST_NAME,
    Track,
    load_manifest,
    manifest_folder,
    save_manifest,
    scan_folder,
)

__all__ = [
    "MANIFEST_NAME",
    "Track",
    "load_manifest",
    "manifest_folder",
    "save_manifest",
    "scan_folder",
]
