"""Takes messages and files, as a hub's parcel door does: prints the ones, stores the others."""
import argparse
import contextlib
import json
import os
import sys

import berkeley as socket

HEADER_BYTES_MAX, PAYLOAD_BYTES_MAX = 1 << 16, 1 << 26
SILENT_SECONDS_MAX = 60


def take(peer, folder):
    """All parcels of one client: a header in JSON and a payload, each in a frame."""
    while (head := socket.recv_frame(peer, HEADER_BYTES_MAX)) not in (None, b"close"):
        header = json.loads(head)
        payload = socket.recv_frame(peer, PAYLOAD_BYTES_MAX)
        if payload is None:
            raise EOFError("a header without a payload")
        if header["msg_type"] == "msg":
            print("message", payload.decode(), flush=True)
            continue
        # The name is a stranger's: it must not lead out of the folder, nor replace anything.
        name = os.path.basename(header["file_name"])
        with open(os.path.join(folder, name), "xb") as file:
            file.write(payload)
        print("file", name, flush=True)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder")
parser.add_argument("port", type=int, nargs="?", default=8001, help="0: any that is free")
arguments = parser.parse_args()
where = ("127.0.0.1", arguments.port)

with socket.create_server(where) as listener, contextlib.suppress(KeyboardInterrupt):
    print("port", listener.getsockname()[1], flush=True)
    while True:
        peer, address = listener.accept()
        with peer:
            peer.settimeout(SILENT_SECONDS_MAX)
            try:
                take(peer, arguments.folder)
            except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
                print(f"{address[0]}:{address[1]}: {error!r}", file=sys.stderr)
