"""Lies beside our modules on the path of an interpreter, for those that have `_socket` and `select`
built in (Debian's): they would be found before any file.
"""

import importlib.machinery
import pathlib
import sys

FOLDER = str(pathlib.Path(__file__).parent)
NAMES = {"_socket", "select"} & set(sys.builtin_module_names)


class First:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return importlib.machinery.PathFinder.find_spec(name, [FOLDER]) if name in NAMES else None


sys.meta_path.insert(0, First)
