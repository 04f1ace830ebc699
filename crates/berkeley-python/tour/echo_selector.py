"""An echo server for many clients on one thread, by io_uring where the kernel has it."""
import argparse
import contextlib

import berkeley as socket
from berkeley import selectors

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("port", type=int, nargs="?", default=7000, help="0: any that is free")
port = parser.parse_args().port

try:
    selector = selectors.IoUringSelector()
except OSError:
    selector = selectors.DefaultSelector()
with socket.create_server(("127.0.0.1", port)) as listener, contextlib.suppress(KeyboardInterrupt):
    print("port", listener.getsockname()[1], flush=True)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _events in selector.select():
            if key.fileobj is listener:
                peer, _address = listener.accept()
                selector.register(peer, selectors.EVENT_READ)
                continue
            data = b""
            with contextlib.suppress(ConnectionError):
                if data := key.fileobj.recv(4096):
                    key.fileobj.sendall(data)
            if not data:
                selector.unregister(key.fileobj)
                key.fileobj.close()
