"""A server for many: python3 echo_server.py [PORT]"""
import sys

import berkeley as socket
from berkeley import selectors

port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
listener = socket.create_server(("127.0.0.1", port))
listener.setblocking(False)
try:
    selector = selectors.IoUringSelector()
except OSError:
    selector = selectors.DefaultSelector()
selector.register(listener, selectors.EVENT_READ)
print(listener.getsockname()[1], flush=True)
while True:
    for key, _events in selector.select():
        if key.fileobj is listener:
            peer, address = listener.accept()
            selector.register(peer, selectors.EVENT_READ)
        elif data := key.fileobj.recv(4096):
            key.fileobj.sendall(data)
        else:
            selector.unregister(key.fileobj)
            key.fileobj.close()
