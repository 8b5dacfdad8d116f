# Holds more and more memory until there is none.
def handler(event, context):
    held = []
    while True:
        held.append(b"x" * (8 * 2**20))
