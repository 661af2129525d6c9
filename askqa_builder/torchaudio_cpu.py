"""Makes `import torchaudio` work where only a CPU's torch is installed.

PyPI's torchaudio is built for CUDA: its extension needs libraries that a CPU-only torch does not
bring, and the import raises OSError; and transformers and Coqui import it where it is installed.
What they use of it is plain torch and works without the extension.
"""

from __future__ import annotations

import sys
import types
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any


@cache
def mend_torchaudio() -> None:
    """Import torchaudio, if it is installed; without its extension where that does not load."""
    if find_spec("torchaudio") is None:
        return
    try:
        import_module("torchaudio")
    except OSError:
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        stub: Any = types.ModuleType("torchaudio._extension")
        stub._IS_TORCHAUDIO_EXT_AVAILABLE = stub._IS_ALIGN_AVAILABLE = False
        stub._check_cuda_version = lambda: None
        stub.fail_if_no_align = lambda function: _unavailable
        sys.modules[stub.__name__] = stub
        import_module("torchaudio")


def _unavailable(*_: object, **__: object) -> None:
    raise RuntimeError("torchaudio's extension cannot be loaded on this machine")
