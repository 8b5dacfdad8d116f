# Compiled files of the function's own code, made by `compile.py`: the import system finds them where it looks for them, and nobody else does.
import sys

# As the import system does: what a function puts in the place of `open` is its own.
from _io import open_code


def read_index(path, codec):
    """Where each compiled file stands in the file at `path`."""
    with open_code(path) as file:
        length = int.from_bytes(file.read(8), "big")
        index = codec.decode(file.read(length))
    return {place: (path, 8 + length + offset, size) for place, (offset, size) in index.items()}


def install(paths, codec):
    index = {}
    for path in paths:
        try:
            index.update(read_index(path, codec))
        except Exception:
            pass  # empty, or no index: whatever is wrong with it, the sources are there
    Loader = sys.modules["_frozen_importlib_external"].SourceFileLoader
    read, compiles = Loader.get_data, Loader.source_to_code

    def get_data(self, path):
        """The loader compares the time and the size of the source, as with any compiled file."""
        place = index.get(path)
        # Whoever compiles sources in a way of their own is to be given sources.
        if place is None or type(self) is not Loader or Loader.source_to_code is not compiles:
            return read(self, path)
        file, offset, size = place
        with open_code(file) as opened:
            opened.seek(offset)
            data = opened.read(size)
        if len(data) < size:
            raise OSError("%s is not whole" % file)
        return data

    Loader.get_data = get_data
