"""Shows how messages stick together on a stream, and how frames part them again.

TCP carries bytes: where one call of send ended and the next began is not told to the receiver.
"""
import argparse

import berkeley as socket

argparse.ArgumentParser(description=__doc__).parse_args()
messages = [b"one", b"two", b"and three"]

with socket.create_server(("127.0.0.1", 0)) as listener:
    sender = socket.create_connection(listener.getsockname())
    receiver, _address = listener.accept()

with sender, receiver:
    for message in messages:
        sender.sendall(message)
    # Waits for all of it, so that it shows each time what otherwise shows now and then.
    together = receiver.recv(sum(map(len, messages)), socket.MSG_WAITALL)
    print(f"{len(messages)} messages sent, received by one call: {together.decode()!r}")

    for message in messages:
        socket.send_frame(sender, message)
    sender.shutdown(socket.SHUT_WR)
    # The limit guards against a length that would fill the memory.
    while (message := socket.recv_frame(receiver, limit=1024)) is not None:
        print(f"a frame: {message.decode()!r}")
