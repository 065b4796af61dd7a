"""Other web servers that serve the files of ours with the same headers: nginx and lighttpd, each as it does best here."""

import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time

from rig import CORES, WAIT_S, CannotMeasure, Client, Server, free_port, program

# What took the least CPU. Sent from memory, a small file takes nginx a quarter less than by sendfile, and a large one
# up to five times as much; tcp_nopush takes two system calls more, and more time than the packet that it saves.
NGINX = """
daemon off;
{user}
worker_processes {cores};
worker_rlimit_nofile 16384;
pid {folder}/pid;
error_log {folder}/log;
events {{ worker_connections 8192; }}
http {{
    types {{ "{media_type}" txt; }}
    access_log off;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 3600;
    open_file_cache max=1000 inactive=3600;
    open_file_cache_valid 60;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {www};
{nginx_headers}
        location = /hello.txt {{ sendfile off; }}
    }}
}}
"""

# One process: with server.max-worker it took no less CPU, and keeps its connections less evenly.
LIGHTTPD = """
server.document-root = "{www}"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{folder}/log"
server.max-keep-alive-requests = 1000000000
server.max-keep-alive-idle = 3600
server.max-fds = 16384
server.max-connections = 8192
server.network-backend = "sendfile"
mimetype.assign = ( ".txt" => "{media_type}" )
server.modules += ( "mod_setenv" )
setenv.set-response-header = ( {lighttpd_headers} )
"""

# What every server makes of the file itself; Connection and Server say nothing of it.
OF_THE_FILE = {"ETag", "Last-Modified", "Date", "Content-Type", "Content-Length", "Accept-Ranges"}
UNEQUAL = {"ETag", "Last-Modified", "Date"}


def as_current_user():
    """nginx's workers of a root's master would be nobody else's, and could not read the folder."""
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(os.getegid()).gr_name};"


class Rival:
    """Runs as the current user, with a folder of its own. Started and ended by `with`. Its answers have the headers of
    `ours`: what a server says of its files has its price, and can be said by all."""

    def __init__(self, name, template, www, ours):
        self.name, self.template, self.www, self.ours = name, template, www, ours
        self.port = free_port()
        self.process = None

    def argv(self, config):
        path = program(self.name)
        if path is None:
            raise CannotMeasure(f"{self.name} is not installed")
        return [path, "-c", config, "-e", f"{self.folder}/log"] if self.name == "nginx" else [path, "-D", "-f", config]

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix=f"prong-bench-{self.name}-")
        config = f"{self.folder}/conf"
        with open(config, "w", encoding="utf-8") as f:
            f.write(self.template.format(cores=CORES, folder=self.folder, port=self.port, www=self.www,
                                         user=as_current_user(), **self.headers()))
        self.process = subprocess.Popen(self.argv(config), stderr=subprocess.DEVNULL)
        Server.live.append(self.process.pid)
        try:
            self.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def headers(self):
        more = [header for header in self.ours.headers if header[0] not in OF_THE_FILE]
        return {
            "media_type": dict(self.ours.headers)["Content-Type"],
            "nginx_headers": "\n".join(f'        add_header {name} "{value}";' for name, value in more),
            "lighttpd_headers": ", ".join(f'"{name}" => "{value}"' for name, value in more),
        }

    def wait(self):
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as f:
                    raise CannotMeasure(f"{self.name} does not start: {f.read().strip()[-300:]}")
            time.sleep(0.01)

    def check(self, path, expected):
        """The same bytes and headers, twice on one connection."""
        with Client(self.port) as client:
            for _ in range(2):
                answer = client.ask(path)
                got = dict(answer.headers)
                missing = [name for name, value in expected.headers
                           if name not in got or (name not in UNEQUAL and got[name] != value)]
                if answer.body != expected.body or missing:
                    raise CannotMeasure(f"{self.name} does not answer {path} as ours does: {', '.join(missing)}")

    def __exit__(self, *exception):
        self.process.terminate()
        self.process.wait(WAIT_S)
        Server.live.remove(self.process.pid)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"


def nginx(www, ours):
    return Rival("nginx", NGINX, www, ours)


def lighttpd(www, ours):
    return Rival("lighttpd", LIGHTTPD, www, ours)
