#!/usr/bin/env python3
"""The interpreter's own search for leaks (`-R 3:3`) while its own tests run, on its own modules or
on ours. Needs an interpreter that counts references (`Py_DEBUG`; Debian's `python3-dbg` is one).

    leaks.py MODULE...

It tells which modules they run on: ours if their folder is in PYTHONPATH.
"""

import sys

# They never end where there is VSOCK without a loopback.
LEFT_OUT = "*ThreadedVSOCK*"


def main():
    assert hasattr(sys, "gettotalrefcount"), "this interpreter does not count references"
    modules = sys.argv[1:]
    import _socket
    import select

    for module in (_socket, select):
        print(getattr(module, "__file__", f"{module.__name__}, built in"), flush=True)
    from test import libregrtest

    sys.argv[1:] = ["-u", "network", "-i", LEFT_OUT, "-R", "3:3", *modules]
    libregrtest.main()


if __name__ == "__main__":
    main()
