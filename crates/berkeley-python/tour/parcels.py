"""Sends messages and files to a hub: python3 parcels.py HOST PORT [TEXT | @FILE]..."""
import sys

from berkeley import hub

with hub.Parcels(sys.argv[1], int(sys.argv[2])) as parcels:
    for word in sys.argv[3:]:
        if word.startswith("@"):
            parcels.file(word[1:])
        else:
            parcels.message(word)
