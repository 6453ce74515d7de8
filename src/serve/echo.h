/* echo.h - what `heatcast echo` does with a message: sends it back, for conformance suites.
 *
 * Text as text, binary as binary, compressed where permessage-deflate was agreed on. On the shard's
 * thread. */
#ifndef HEATCAST_SERVE_ECHO_H
#define HEATCAST_SERVE_ECHO_H

#include "serve/conn.h"

void echo_message(struct conn *conn, enum ws_opcode opcode, struct str payload);

#endif
