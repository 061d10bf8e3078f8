"""Prints the public names of the modules that docs/python.tsv maps, one a line.

A class's methods and attributes come as Class.name where the class defines them
itself or has them from one that is not named here; constants come as their prefix.
"""
import inspect, re, warnings
warnings.simplefilter("ignore")
import asynchat, asyncore, select, socket, socketserver

MODULES = [socket, select, socketserver, asyncore, asynchat]
OURS = {m.__name__ for m in MODULES} | {"_socket"}

def public(names):
    return [n for n in names if not n.startswith("_")]

out = set()
for m in MODULES:
    for name in public(dir(m)):
        o = getattr(m, name)
        if inspect.ismodule(o) or (inspect.isclass(o) or callable(o)) and (getattr(o, "__module__", None) or m.__name__) not in OURS | {"builtins"}:
            continue
        if isinstance(o, int) and not inspect.isclass(o) and name not in ("has_ipv6",):
            out.add(f"{m.__name__}.{name.split('_')[0]}_*" if "_" in name else f"{m.__name__}.{name}")
            continue
        out.add(f"{m.__name__}.{name}")
        if not inspect.isclass(o) or issubclass(o, (BaseException, int)) or name == "SocketType":
            continue
        for attr in public(dir(o)):
            owner = next(k for k in o.__mro__ if attr in k.__dict__)
            if owner is o or owner.__name__ == "socket":
                out.add(f"{m.__name__}.{name}.{attr}")
print("\n".join(sorted(out)))
