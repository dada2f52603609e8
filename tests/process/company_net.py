"""A company's network on loopback: a TLS front of a provider, and a proxy before everything.

company_net.py FOLDER PROVIDER_PORT writes FOLDER/ports ("TLS PROXY\n") when both listen, and
FOLDER/tls.log and FOLDER/proxy.log, a line of JSON for each request."""
import http.client
import http.server
import json
import os
import socket
import ssl
import sys
import threading

folder, provider_port = sys.argv[1], int(sys.argv[2])
lock = threading.Lock()


def note(name, **what):
    with lock, open(f"{folder}/{name}.log", "a") as log:
        log.write(json.dumps(what) + "\n")


def ask_provider(method, path, headers, body):
    connection = http.client.HTTPConnection("127.0.0.1", provider_port, timeout=30)
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    return reply.status, reply.read()


class Front(http.server.BaseHTTPRequestHandler):
    """Ends TLS, and hands requests on."""
    protocol_version = "HTTP/1.1"
    log_name = "tls"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        note(self.log_name, line=self.requestline,
             headers={name.lower(): value for name, value in self.headers.items()})
        path = "/v1/chat/completions"
        status, reply = ask_provider("POST", path, {"Content-Type": "application/json"}, body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *unused):
        pass


class Proxy(Front):
    """CONNECT for TLS; plain requests come with the whole URL."""
    log_name = "proxy"

    def do_CONNECT(self):
        note("proxy", line=self.requestline,
             headers={name.lower(): value for name, value in self.headers.items()})
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection(("127.0.0.1", int(port)), timeout=30) as other:
            self.send_response(200)
            self.end_headers()
            pipes = [threading.Thread(target=pump, args=ends)
                     for ends in ((self.connection, other), (other, self.connection))]
            for pipe in pipes:
                pipe.start()
            for pipe in pipes:
                pipe.join()
        self.close_connection = True


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


front = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")
front.socket = context.wrap_socket(front.socket, server_side=True)
proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
for server in (front, proxy):
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
with open(f"{folder}/ports.part", "w") as ports:
    ports.write(f"{front.server_port} {proxy.server_port}\n")

os.rename(f"{folder}/ports.part", f"{folder}/ports")
threading.Event().wait(120)
