// uWebSockets, its ordinary publish: a topic that all clients are in. Usage: uws.mjs [--deflate]
import { createRequire } from 'node:module';

const uws = createRequire(import.meta.url)('../../.deps/bench/uws.node');
const deflate = process.argv.includes('--deflate');
const app = uws.App();

app.ws('/ws', {
    compression: deflate ? uws.SHARED_COMPRESSOR : uws.DISABLED,
    open: (ws) => ws.subscribe('bench'),
});
app.post('/publish', (response) => {
    const chunks = [];

    response.onAborted(() => {});
    response.onData((chunk, isLast) => {
        chunks.push(Buffer.from(chunk.slice(0))); // the chunk is theirs after this call
        if (!isLast) return;
        app.publish('bench', Buffer.concat(chunks), false, deflate);
        response.end('ok');
    });
});
app.listen('127.0.0.1', 0, (socket) => {
    console.log(`listening on 127.0.0.1:${uws.us_socket_local_port(socket)}`);
});
