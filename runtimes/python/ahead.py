# boto3, loaded while a sandbox waits and kept aside: a function's own `import boto3` then takes a millisecond instead of 300.
#
# Nothing of it is in `sys.modules` before the function imports it. A module is handed out where that import would find the very file that
# was loaded. When the function, a layer or something that was added to `sys.path` has a module of one of the names, or when there are
# hooks in the import system, what is left is forgotten, and everything is imported as without.
import builtins
import gc
import os
import sys

# Whom a client is made for when nobody is there yet.
NOBODY = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nobody", "region_name": "us-east-1"}
IDENTITY = b"<GetCallerIdentityResponse><GetCallerIdentityResult/></GetCallerIdentityResponse>"
IMPORTED = (".py", ".pyc", ".so")
READ_ONLY = ("/var/task", "/opt")


class Recorder:
    """Which modules the body of each imports, and which names were looked for in vain: what is optional, a function may bring along."""

    def __init__(self):
        self.needs = {}
        self.absent = set()
        self.noted = set(sys.modules)
        self.original = builtins.__import__

    def __enter__(self):
        builtins.__import__ = self.note_import
        sys.meta_path.append(self)
        return self

    def __exit__(self, *_):
        builtins.__import__ = self.original
        sys.meta_path.remove(self)

    def find_spec(self, name, path=None, target=None):
        self.absent.add(name.partition(".")[0])

    def note_import(self, name, globals=None, locals=None, fromlist=(), level=0):
        try:
            return self.original(name, globals, locals, fromlist, level)
        finally:
            # Also where it has failed: the packages on the way are there.
            self.note(absolute(name, globals, level), fromlist or (), sys._getframe(1))

    def note(self, name, items, frame):
        while frame is not None and frame.f_code.co_name != "<module>":
            frame = frame.f_back
        importer = "" if frame is None else frame.f_globals["__name__"]
        self.needs_of(importer).update((name, *("%s.%s" % (name, item) for item in items)))
        if len(sys.modules) == len(self.noted):
            return
        # Some modules put others there themselves, as `typing` does with `typing.io`, or one a second time.
        for new in sys.modules.keys() - self.noted:
            if new.startswith(name + "."):
                self.needs_of(name).add(new)
            elif sys.modules[new].__name__ != new:
                self.needs_of(importer).add(new)
        self.noted.update(sys.modules)

    def needs_of(self, name):
        return self.needs.setdefault(name, set())


def absolute(name, globals, level):
    if level == 0:
        return name
    package = globals["__package__"]
    for _ in range(level - 1):
        package = package.rpartition(".")[0]
    return "%s.%s" % (package, name) if name else package


class Given:
    """The loader of a module that has been loaded."""

    def __init__(self, module):
        self.module = module
        self.spec = module.__spec__

    def create_module(self, spec):
        return self.module

    def exec_module(self, module):
        module.__spec__ = self.spec


class Ahead:
    """Finds the modules that were loaded ahead, each once."""

    def __init__(self, before):
        """`before`: names of the modules that every function finds loaded."""
        # The function's own places come first.
        self.places = sys.path[3:]
        self.clear = set()
        # The one variable that is read on import, for a place where the user's own data would be.
        self.home = os.environ.get("HOME")
        finders = list(sys.meta_path)
        with Recorder() as recorder:
            import boto3.dynamodb.table
            import boto3.dynamodb.transform
            import boto3.s3.inject
        known = rehearse(boto3)
        gc.collect()
        offer_data(sys.modules["botocore.loaders"], *known)
        self.modules = {name: module for name, module in sys.modules.items() if name not in before}
        self.needs = recorder.needs
        self.tops = {name.partition(".")[0] for name in self.modules}
        self.absent = recorder.absent - self.tops
        # `six` has one for its `six.moves`.
        self.finders = [finder for finder in sys.meta_path if finder not in finders]
        for name in self.modules:
            del sys.modules[name]
        sys.meta_path[:] = finders
        gc.collect()

    def install(self, library_hook):
        """From now on what is imported is imported for a function. `library_hook` stays the first that is asked."""
        self.known = [library_hook, self, *self.finders, *sys.meta_path]
        self.hooks = list(sys.path_hooks), builtins.__import__
        sys.meta_path.insert(sys.meta_path.index(library_hook) + 1, self)

    def find_spec(self, name, path=None, target=None):
        if name not in self.modules:
            return None
        if not self.would_be_found():
            self.modules.clear()
            sys.meta_path.remove(self)
            return None
        given = Given(self.modules.pop(name))
        self.give_needed(name)
        return type(sys.__spec__)(name, given)

    def would_be_found(self):
        if os.environ.get("HOME") != self.home:
            return False
        if (list(sys.path_hooks), builtins.__import__) != self.hooks or any(finder not in self.known for finder in sys.meta_path):
            return False
        own = [place for place in sys.path if place not in self.places]
        return len(sys.path) - len(own) == len(self.places) and all(self.is_clear(place) for place in own)

    def is_clear(self, place):
        if place in self.clear or not isinstance(place, str):
            return True
        try:
            names = os.listdir(place or ".")
        except NotADirectoryError:
            return False  # an archive
        except OSError:
            return True  # nothing can be imported from there
        if any(self.is_shadowed(place, name) for name in names):
            return False
        if place.startswith(READ_ONLY):
            self.clear.add(place)
        return True

    def is_shadowed(self, place, name):
        top = name.partition(".")[0]
        if top in self.absent:
            return True
        if top not in self.tops:
            return False
        # A directory that is no package comes after one that is, wherever that is on the path.
        return name.endswith(IMPORTED) or any(os.path.exists("%s/%s/__init__%s" % (place, name, end)) for end in IMPORTED)

    def give_needed(self, name):
        """As if the body of the module had been run: what it imports is there, and what that imports."""
        needed, left = set(), [name]
        while left:
            one = left.pop()
            for other in self.needs.get(one, ()):
                # With the packages that it is in.
                while other:
                    if other in self.modules and other not in needed:
                        needed.add(other)
                        left.append(other)
                    other = other.rpartition(".")[0]
            self.give_finders(one)
        if "logging" in needed:
            __import__("logging")  # the runtime sets it up when it is loaded
        for other in needed:
            module = self.modules.pop(other, None)
            if module is not None:
                sys.modules[other] = module

    def give_finders(self, name):
        for finder in self.finders:
            if type(finder).__module__ == name and finder not in sys.meta_path:
                sys.meta_path.append(finder)


def rehearse(boto3):
    """A client that is made and called loads and compiles what every client does; the answer comes from here."""
    awsrequest = sys.modules["botocore.awsrequest"]

    class Raw:
        def stream(self):
            return iter((IDENTITY,))

    session = boto3.session.Session(**NOBODY)
    client = session.client("sts")
    client.meta.events.register("before-send", lambda request, **_: awsrequest.AWSResponse(request.url, 200, {}, Raw()))
    client.get_caller_identity()
    return listed(session._loader)


def existing(places):
    return [place for place in places if os.path.isdir(place)]


def listed(loader):
    """Where it looks, and the services that are there."""
    return existing(loader.search_paths), {kind: loader.list_available_services(kind) for kind in ("service-2", "endpoint-rule-set-1")}


def offer_data(loaders, places, services):
    """
    For its first client boto3 reads a megabyte of JSON and lists a thousand directories. Both have been done, for the first that asks and
    for nobody else; where the data may come from other places as well, for nobody.
    """
    Loader, JSONFileLoader = loaders.Loader, loaders.JSONFileLoader
    load_file, list_services = JSONFileLoader.load_file, Loader.list_available_services
    # Read anew: who uses it changes it.
    files = {path: JSONFileLoader().load_file(path) for path in [Loader.BUILTIN_DATA_PATH + "/endpoints"]}

    def load_first(self, file_path):
        found = files.pop(file_path, None)
        if not files:
            JSONFileLoader.load_file = load_file
        return load_file(self, file_path) if found is None else found

    def list_first(self, type_name):
        if type_name in services and existing(self.search_paths) == places:
            self._cache.setdefault(("list_available_services", type_name), services.pop(type_name))
        if not services:
            Loader.list_available_services = list_services
        return list_services(self, type_name)

    JSONFileLoader.load_file, Loader.list_available_services = load_first, list_first
