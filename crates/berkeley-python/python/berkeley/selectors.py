"""The standard library's `selectors` on `berkeley.select`, with `IoUringSelector` besides."""

import sys

from berkeley._stock import run

run("selectors", globals(), {"select": sys.modules["berkeley.select"]})

from berkeley import _uring  # noqa: E402


class IoUringSelector(_BaseSelectorImpl):  # noqa: F821
    """A selector over io_uring. Where the kernel has none, or forbids it, making one is an
    OSError.
    """

    def __init__(self):
        super().__init__()
        self._ring = _uring.IoUring()

    def register(self, fileobj, events, data=None):
        key = super().register(fileobj, events, data)
        try:
            self._ring.register(key.fd, key.events)
        except:
            super().unregister(fileobj)
            raise
        return key

    def unregister(self, fileobj):
        key = super().unregister(fileobj)
        try:
            self._ring.unregister(key.fd)
        except OSError:
            # The descriptor was closed before.
            pass
        return key

    def modify(self, fileobj, events, data=None):
        old = self.get_key(fileobj)
        if events != old.events:
            self._ring.modify(old.fd, events)
        key = old._replace(events=events, data=data)
        self._fd_to_key[key.fd] = key
        return key

    def select(self, timeout=None):
        if timeout is not None:
            timeout = max(timeout, 0)
        ready = []
        for fd, events in self._ring.wait(timeout):
            key = self._fd_to_key.get(fd)
            if key:
                ready.append((key, events & key.events))
        return ready

    def close(self):
        self._ring = None
        super().close()
