"""The original design: FastAPI, and a manager that sends to one client after the other.

Usage: fastapi_app.py [--deflate] [--uvloop]

By itself uvicorn runs on asyncio and h11; uvloop and httptools are extras that it takes where they are.
"""

import asyncio
import socket
import sys

import uvicorn
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect

SEND_TIMEOUT_S = 1.0

app = FastAPI()
clients = set()


async def send(client, message):
    try:
        await asyncio.wait_for(client.send_json(message), SEND_TIMEOUT_S)
    except Exception:  # whatever it was: this client is given up
        clients.discard(client)


@app.websocket("/ws")
async def subscribe(client: WebSocket):
    await client.accept()
    clients.add(client)
    try:
        while True:
            await client.receive_text()
    except WebSocketDisconnect:
        clients.discard(client)


@app.post("/publish")
async def publish(request: Request):
    message = await request.json()
    for client in list(clients):
        await send(client, message)
    return {"clients": len(clients)}


def main():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    print("listening on 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    fast = "--uvloop" in sys.argv
    config = uvicorn.Config(
        app,
        log_level="error",
        loop="uvloop" if fast else "asyncio",
        http="httptools" if fast else "h11",
        ws="websockets",
        ws_per_message_deflate="--deflate" in sys.argv,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
