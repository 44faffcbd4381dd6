"""`git http-backend` behind an Upstream: the smart HTTP server that git itself ships, as a forge runs it."""

import os
import subprocess


def handler(root):
    """A handler that serves the repositories below root, pushes included."""

    def serve(x):
        path, _, query = x.request.target.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": x.request.get("git-protocol", ""),
            "HTTP_CONTENT_ENCODING": x.request.get("content-encoding", ""),
            "REQUEST_METHOD": x.request.method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": x.request.get("content-type", ""),
            "CONTENT_LENGTH": str(len(x.request.body)),
            "REMOTE_USER": "tester",
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=x.request.body, env=environment, capture_output=True,
                              timeout=30)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n") if line]
        status = dict(headers).pop("Status", "200 OK").split(" ", 1)
        headers = [(n, v) for n, v in headers if n != "Status"]
        x.head(int(status[0]), status[1], headers + [("Transfer-Encoding", "chunked")])
        for start in range(0, len(body), 10000):
            x.chunk(body[start:start + 10000])
        x.end_chunks()

    return serve
