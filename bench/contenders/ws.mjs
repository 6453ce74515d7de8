// npm's ws: send() to each client. Usage: ws.mjs [--deflate]
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const { WebSocketServer } = createRequire(new URL('../../tests/', import.meta.url))('ws');
const server = createServer();
const clients = new WebSocketServer({
    server,
    path: '/ws',
    perMessageDeflate: process.argv.includes('--deflate'),
}).clients;

server.on('request', (request, response) => {
    const chunks = [];

    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
        const message = Buffer.concat(chunks);

        for (const client of clients) client.send(message, { binary: false });
        response.end('ok');
    });
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
    console.log(`listening on 127.0.0.1:${server.address().port}`);
});
