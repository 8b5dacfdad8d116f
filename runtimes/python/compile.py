# Compiles what lies below a directory for the interpreter that runs this, and writes it to descriptor 3. See ../README.md.
#
# Runs in a sandbox of its own, before a function is invoked. It imports nothing of the function's, and runs nothing of it: sources become
# code objects, and those become bytes.
import json
import os
import sys
import time

OUTPUT = 3
SOURCE_BYTES_MAX = 1 << 20
FILES_MAX = 10000
BYTES_MAX = 32 << 20
# What has been compiled until then is worth having.
CPU_SECONDS_MAX = 20


class Compiler(sys.modules["_frozen_importlib_external"].SourceFileLoader):
    """Keeps what the import system would like to write beside a source: nothing, where a compiled file of the package's own will do."""

    made = {}

    def set_data(self, path, data, *, _mode=0o666):
        self.made[path] = data


def sources(root):
    """Those near the root come first, links are not followed."""
    left = [root]
    for place in left:
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                left.append(entry.path)
            elif entry.name.endswith(".py") and entry.is_file(follow_symlinks=False) and entry.stat().st_size <= SOURCE_BYTES_MAX:
                yield entry.path


def compiled(root):
    """With `-W error` a source that is warned about does not compile either: who imports it is to see the warning."""
    size = files = 0
    for path in sources(root):
        try:
            path.encode()
            Compiler("compiled", path).get_code("compiled")
        except Exception:
            continue
        for place, data in Compiler.made.items():
            size += len(data)
            files += 1
            if size > BYTES_MAX or files > FILES_MAX:
                return
            yield place, data
        Compiler.made.clear()
        if time.process_time() > CPU_SECONDS_MAX:
            return


def write(data):
    view = memoryview(data)
    while view:
        view = view[os.write(OUTPUT, view) :]


def main(root):
    """u64 length of the index · index (JSON: where the import system looks for it → offset, length) · what it finds there."""
    index, pieces, offset = {}, [], 0
    for place, data in compiled(root):
        index[place] = [offset, len(data)]
        pieces.append(data)
        offset += len(data)
    if index:
        head = json.dumps(index).encode()
        write(len(head).to_bytes(8, "big") + head + b"".join(pieces))


main(sys.argv[1])
