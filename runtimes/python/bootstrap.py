# The first process of a Python sandbox. See ../README.md.
#
# The file that an interpreter is started with is compiled anew each time, which would take 5 ms for all of it: so this one only loads
# the others, for which compiled files may lie beside them.
import sys

HERE = __file__.rpartition("/")[0]


def beside(name):
    """A module from this directory, which is not on the path: a function may have modules of the same names."""
    loaded = "lambent_" + name
    if loaded not in sys.modules:
        loader = sys.modules["_frozen_importlib_external"].SourceFileLoader(loaded, "%s/%s.py" % (HERE, name))
        module = type(sys)(loaded)
        module.__file__ = loader.path
        sys.modules[loaded] = module
        loader.exec_module(module)
    return sys.modules[loaded]


beside("runtime").main(HERE, beside)
