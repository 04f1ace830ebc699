"""Everything that `import socket` gives, on the Rust library berkeley, and more:

    import berkeley as socket

- `berkeley.select`, `berkeley.selectors`: the modules of these names; the latter has
  `IoUringSelector` besides.
- `send_frame`, `recv_frame`: messages over a stream, with a limit for what is received.
- `berkeley.hub`: the other end of a Switchboard hub.
"""

import importlib.machinery as _machinery
import importlib.util as _util
import sys as _sys

from berkeley import _socket
from berkeley._stock import run as _run


def _beside(name):
    """A module that lies in the same library as `_socket`."""
    loader = _machinery.ExtensionFileLoader(f"berkeley.{name}", _socket.__file__)
    spec = _util.spec_from_file_location(f"berkeley.{name}", _socket.__file__, loader=loader)
    module = _util.module_from_spec(spec)
    loader.exec_module(module)
    _sys.modules[f"berkeley.{name}"] = module
    return module


select = _beside("select")
_uring = _beside("_uring")
from berkeley import selectors  # noqa: E402

_doc = __doc__
_run("socket", globals(), {"_socket": _socket, "selectors": selectors})
__doc__ = _doc

from berkeley.frames import FrameTooLong, recv_frame, send_frame  # noqa: E402

__all__ += ["FrameTooLong", "recv_frame", "send_frame"]  # noqa: F821
