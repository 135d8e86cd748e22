"""Memory of a long-running command: what is freed is kept for the next array of that size.

glibc gives large freed blocks back to the system, which then has to clear every page again for the
next one. In a process that works through many tracks that was half of its time.
"""

from __future__ import annotations

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # <malloc.h>
_KEPT_BYTES = 512 * 2**20


def keep_freed_memory() -> bool:
    """Keep up to 512 MiB of freed memory; return whether this C library can.

    Settings from outside (the environment's MALLOC_... variables) are left as they are.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        set_option = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another system or C library
        return False
    return bool(set_option(_MMAP_MAX, 0)) and bool(set_option(_TRIM_THRESHOLD, _KEPT_BYTES))
