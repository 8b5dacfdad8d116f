# Tells the environment variables, the working directory and the user that it sees.
import os
import platform


def handler(event, context):
    return {"variables": dict(os.environ), "directory": os.getcwd(), "uid": os.getuid(), "version": platform.python_version()}
