#!/usr/bin/env python3
"""The interpreter's own search for leaks (`-R 3:3`) while its own tests run, on its own modules or on
ours. Needs an interpreter that counts references (`Py_DEBUG`; Debian's `python3-dbg` is one).

    leaks.py FOLDER|- MODULE...

FOLDER has our `_socket` and `select` for that interpreter; `-` stands for its own ones.
"""

import importlib.machinery
import pathlib
import sys

# They never end where there is VSOCK without a loopback.
LEFT_OUT = "*ThreadedVSOCK*"


def stand_before(folder):
    """Ours are found first, also where the interpreter has its own built in."""

    class First:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name in ("_socket", "select"):
                return importlib.machinery.PathFinder.find_spec(name, [str(folder)])
            return None

    for name in ("_socket", "select"):
        assert name not in sys.modules, f"{name} is there already"
    sys.meta_path.insert(0, First)


def main():
    assert hasattr(sys, "gettotalrefcount"), "this interpreter does not count references"
    folder, *modules = sys.argv[1:]
    if folder != "-":
        stand_before(pathlib.Path(folder).resolve(strict=True))
    import _socket
    import select

    for module in (_socket, select):
        print(getattr(module, "__file__", f"{module.__name__}, built in"), flush=True)
    from test import libregrtest

    sys.argv[1:] = ["-u", "network", "-i", LEFT_OUT, "-R", "3:3", *modules]
    libregrtest.main()


if __name__ == "__main__":
    main()
