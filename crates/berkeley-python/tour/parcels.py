"""Sends messages and files to a hub, or to upload_server.py."""
import argparse

from berkeley import hub

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("host")
parser.add_argument("port", type=int)
parser.add_argument("words", nargs="+", help="a message, or @ and the path of a file")
arguments = parser.parse_args()

with hub.Parcels(arguments.host, arguments.port) as parcels:
    for word in arguments.words:
        if word.startswith("@"):
            parcels.file(word[1:])
        else:
            parcels.message(word)
