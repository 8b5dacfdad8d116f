# What a result has that JSON has no form for, as AWS's encoder (simplejson) writes it: named tuples are objects, bytes for keys are texts.


def plain(value):
    if isinstance(value, dict):
        return {text(key): plain(part) for key, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value


def text(key):
    return key.decode("utf-8") if isinstance(key, bytes) else key
