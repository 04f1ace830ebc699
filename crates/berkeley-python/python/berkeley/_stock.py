"""Runs modules of the standard library in namespaces of ours, with modules of ours under them."""

import builtins
import importlib.util


def run(name, namespace, replaced):
    """Runs the standard library's module `name` in `namespace`, where `import` finds what is in
    `replaced` first. Nothing of the interpreter's own modules is changed.
    """
    spec = importlib.util.find_spec(name)
    code = spec.loader.get_code(name)

    def find(wanted, of=None, locals=None, fromlist=(), level=0):
        if level == 0 and wanted in replaced:
            return replaced[wanted]
        return builtins.__import__(wanted, of, locals, fromlist, level)

    own = dict(vars(builtins))
    own["__import__"] = find
    namespace["__builtins__"] = own
    exec(code, namespace)
