#include "serve/echo.h"

#include "serve/shard.h"

void echo_message(struct conn *c, enum ws_opcode opcode, struct str payload)
{
    struct buf frame = {0}, packed = {0};

    if (c->uses_deflate) {
        deflate_message(shard_deflater(c->shard), payload.at, payload.size, &packed);
        frame_append(&frame, FRAME_FIN | FRAME_RSV1 | opcode, packed.data, packed.size, NULL);
        buf_deinit(&packed);
    } else
        frame_append(&frame, FRAME_FIN | opcode, payload.at, payload.size, NULL);
    conn_reply(c, blob_take(&frame));
    conn_flush(c);
    /* A peer that sends without reading waits; otherwise its answers would pile up here. */
    if (c->state == CONN_OPEN && c->rest) conn_pause(c);
}
