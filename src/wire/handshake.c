#include "wire/handshake.h"

#include <assert.h>
#include <string.h>

#include <openssl/evp.h>

#include "wire/deflate.h"

#define KEY_TEXT_SIZE 24 /* base64 of HANDSHAKE_KEY_BYTES */

/* Parameters of permessage-deflate, RFC 7692 §7.1. */
enum parameter {
    SERVER_NO_CONTEXT_TAKEOVER = BIT(0),
    CLIENT_NO_CONTEXT_TAKEOVER = BIT(1),
    SERVER_MAX_WINDOW_BITS = BIT(2),
    CLIENT_MAX_WINDOW_BITS = BIT(3),
};

/* One element of Sec-WebSocket-Extensions, as far as it concerns permessage-deflate. */
struct extension {
    bool is_deflate;
    bool is_acceptable; /* known parameters only, each once, with values they may have */
    unsigned given;     /* enum parameter bits */
    int server_window_bits;
    int client_window_bits; /* 15 when given without a value */
};

/* RFC 6455 §4.2.2 item 5.4: base64 of SHA-1 of the key's text and a constant. */
static void make_accept(struct str key, char accept[HANDSHAKE_ACCEPT_SIZE])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t text[KEY_TEXT_SIZE + sizeof(guid) - 1], digest[EVP_MAX_MD_SIZE];
    unsigned char encoded[HANDSHAKE_ACCEPT_SIZE + 1]; /* EVP_EncodeBlock() adds a NUL */
    unsigned digest_size;
    int ok;

    assert(key.size == KEY_TEXT_SIZE);
    memcpy(text, key.at, KEY_TEXT_SIZE);
    memcpy(text + KEY_TEXT_SIZE, guid, sizeof(guid) - 1);
    ok = EVP_Digest(text, sizeof(text), digest, &digest_size, EVP_sha1(), NULL);
    assert(ok == 1 && digest_size == 20);
    EVP_EncodeBlock(encoded, digest, (int)digest_size);
    memcpy(accept, encoded, HANDSHAKE_ACCEPT_SIZE);
}

/* Base64 of 16 bytes: 22 characters that say something, and "==". */
static bool key_is_valid(struct str key)
{
    if (key.size != KEY_TEXT_SIZE || key.at[22] != '=' || key.at[23] != '=') return false;
    for (size_t i = 0; i < 22; i++) {
        char c = key.at[i];

        if (!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && c != '+' &&
            c != '/')
            return false;
    }
    return true;
}

/* Takes `size` bytes off the front. */
static struct str take(struct str *rest, size_t size)
{
    struct str part = {rest->at, size};

    rest->at += size;
    rest->size -= size;
    return part;
}

static bool take_char(struct str *rest, char c)
{
    *rest = str_trim(*rest);
    if (rest->size == 0 || rest->at[0] != c) return false;
    take(rest, 1);
    return true;
}

static bool take_token(struct str *rest, struct str *token)
{
    *rest = str_trim(*rest);
    *token = take(rest, http_token_size(*rest));
    return token->size > 0;
}

/* A token, bare or in quotes: RFC 6455 §9.1 lets a quoted value be nothing but a token, so there
 * is no escape to undo. */
static bool take_value(struct str *rest, struct str *value)
{
    bool is_quoted = take_char(rest, '"');

    if (!is_quoted) return take_token(rest, value);
    *value = take(rest, http_token_size(*rest));
    return value->size > 0 && rest->size > 0 && *take(rest, 1).at == '"';
}

/* RFC 7692 §7.1.2.1: a decimal from 8 to 15 without leading zeros. 0 for anything else. */
static int window_bits(struct str value)
{
    if (value.size == 1 && (value.at[0] == '8' || value.at[0] == '9')) return value.at[0] - '0';
    if (value.size == 2 && value.at[0] == '1' && value.at[1] >= '0' && value.at[1] <= '5')
        return 10 + value.at[1] - '0';
    return 0;
}

/* `value.at` is NULL where there was none. False for what makes an offer unacceptable. */
static bool note_parameter(struct extension *extension, struct str name, struct str value)
{
    static const struct {
        const char *name;
        enum parameter bit;
    } known[] = {
        {"server_no_context_takeover", SERVER_NO_CONTEXT_TAKEOVER},
        {"client_no_context_takeover", CLIENT_NO_CONTEXT_TAKEOVER},
        {"server_max_window_bits", SERVER_MAX_WINDOW_BITS},
        {"client_max_window_bits", CLIENT_MAX_WINDOW_BITS},
    };
    unsigned bit = 0;

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(name, str_of(known[i].name))) bit = known[i].bit;
    if (!bit || (extension->given & bit)) return false;
    extension->given |= bit;
    switch (bit) {
    case SERVER_MAX_WINDOW_BITS:
        extension->server_window_bits = window_bits(value);
        return extension->server_window_bits != 0;
    case CLIENT_MAX_WINDOW_BITS: /* §7.1.2.2: in an offer the value may be missing */
        extension->client_window_bits = value.at ? window_bits(value) : DEFLATE_WINDOW_BITS_MAX;
        return extension->client_window_bits != 0;
    default:
        return value.at == NULL;
    }
}

/* RFC 6455 §9.1: extension-token *( ";" token [ "=" value ] ). False if it is not of that form. */
static bool take_extension(struct str *rest, struct extension *extension)
{
    struct str name;

    *extension = (struct extension){.is_acceptable = true};
    if (!take_token(rest, &name)) return false;
    extension->is_deflate = str_eq(name, STR("permessage-deflate"));
    while (take_char(rest, ';')) {
        struct str parameter, value = {0};

        if (!take_token(rest, &parameter)) return false;
        if (take_char(rest, '=') && !take_value(rest, &value)) return false;
        if (!note_parameter(extension, parameter, value)) extension->is_acceptable = false;
    }
    return true;
}

/* Takes the next element of a field's list: 1 with *extension, 0 at its end, -400 if ill-formed. */
static int next_extension(struct str *rest, struct extension *extension)
{
    while (take_char(rest, ',')) /* RFC 9110 §5.6.1.2: empty elements are to be ignored */
        ;
    if (rest->size == 0) return 0;
    if (!take_extension(rest, extension)) return -400;
    return rest->size == 0 || rest->at[0] == ',' ? 1 : -400;
}

/* Can we keep to what the offer asks? client_ parameters never stand in the way: we read with the
 * largest window, and forget after each message anyway. */
static bool can_accept(const struct extension *offer)
{
    return offer->is_deflate && offer->is_acceptable &&
           (!(offer->given & SERVER_MAX_WINDOW_BITS) ||
            offer->server_window_bits >= DEFLATE_WINDOW_BITS_MIN);
}

/* RFC 7692 §5.1: takes the first offer that can be kept, in order of preference. An ill-formed
 * field must fail the connection (RFC 6455 §9.1), even behind an offer that was taken: 0 or -400.
 */
static int negotiate_deflate(const struct http_headers *headers, struct handshake_deflate *deflate)
{
    struct handshake_deflate agreed = {.window_bits = DEFLATE_WINDOW_BITS_MAX};

    for (uint32_t i = 0; i < headers->count; i++) {
        struct str rest = headers->items[i].value;
        struct extension offer;
        int found;

        if (!str_eq_nocase(headers->items[i].name, STR("Sec-WebSocket-Extensions"))) continue;
        while ((found = next_extension(&rest, &offer)) > 0) {
            if (agreed.is_on || !can_accept(&offer)) continue;
            agreed.is_on = true;
            agreed.is_limited = offer.given & SERVER_MAX_WINDOW_BITS;
            if (agreed.is_limited) agreed.window_bits = (uint8_t)offer.server_window_bits;
        }
        if (found < 0) return found;
    }
    *deflate = agreed;
    return 0;
}

/* RFC 6455 §4.2.1: what the request must have, besides what http_parse_head() saw to. */
static int check_upgrade(const struct http_request *request)
{
    const struct http_headers *headers = &request->headers;

    if (request->method != HTTP_GET) return -405;
    /* RFC 9110 §7.8: Upgrade in HTTP/1.0 is to be ignored. A body would be read as frames. */
    if (request->minor_version < 1 || request->content_length) return -400;
    if (!http_header_has_token(headers, "Upgrade", "websocket")) return -426;
    if (!http_header_has_token(headers, "Connection", "upgrade")) return -400;
    if (http_header_count(headers, "Sec-WebSocket-Version") != 1) return -400;
    if (!str_eq(http_header(headers, "Sec-WebSocket-Version"), STR("13"))) return -426;
    if (http_header_count(headers, "Sec-WebSocket-Key") != 1 ||
        !key_is_valid(http_header(headers, "Sec-WebSocket-Key")))
        return -400;
    return 0;
}

int handshake_check(const struct http_request *request, bool with_deflate, struct handshake *out)
{
    struct handshake_deflate deflate;
    int err = check_upgrade(request);

    if (err) return err;
    err = negotiate_deflate(&request->headers, &deflate);
    if (err) return err;
    make_accept(http_header(&request->headers, "Sec-WebSocket-Key"), out->accept);
    out->deflate = deflate;
    out->deflate.is_on = deflate.is_on && with_deflate;
    return 0;
}

/* RFC 7692 §7.1.1: client_no_context_takeover may stand in a response whether it was offered or
 * not, and obliges the client; server_ tells it that it may forget, too. §7.1.2.1: an offer with
 * server_max_window_bits is accepted by including it, even where it is no limit. */
static void write_extensions(struct buf *out, const struct handshake_deflate *deflate)
{
    buf_add_text(out, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                      "client_no_context_takeover");
    if (deflate->is_limited) buf_printf(out, "; server_max_window_bits=%d", deflate->window_bits);
    buf_add_text(out, "\r\n");
}

void handshake_write_accept(struct buf *out, const struct handshake *handshake)
{
    http_write_status(out, 101);
    http_write_header(out, "Upgrade", STR("websocket"));
    http_write_header(out, "Connection", STR("Upgrade"));
    http_write_header(out, "Sec-WebSocket-Accept",
                      (struct str){handshake->accept, HANDSHAKE_ACCEPT_SIZE});
    if (handshake->deflate.is_on) write_extensions(out, &handshake->deflate);
    http_write_end(out);
}

static void encode_key(const struct handshake_request *request,
                       unsigned char key[KEY_TEXT_SIZE + 1])
{
    EVP_EncodeBlock(key, request->key, HANDSHAKE_KEY_BYTES);
}

void handshake_write_request(struct buf *out, const struct handshake_request *request)
{
    unsigned char key[KEY_TEXT_SIZE + 1];

    encode_key(request, key);
    buf_add_text(out, "GET ");
    buf_add(out, request->target.at, request->target.size);
    buf_add_text(out, " HTTP/1.1\r\n");
    http_write_header(out, "Host", request->host);
    http_write_header(out, "Upgrade", STR("websocket"));
    http_write_header(out, "Connection", STR("Upgrade"));
    http_write_header(out, "Sec-WebSocket-Key", str_of((const char *)key));
    http_write_header(out, "Sec-WebSocket-Version", STR("13"));
    if (request->offers_deflate)
        http_write_header(out, "Sec-WebSocket-Extensions",
                          STR("permessage-deflate; server_no_context_takeover; "
                              "client_no_context_takeover"));
    http_write_end(out);
}

/* RFC 7692 §7.1: what a response may say to the offer that handshake_write_request() makes. We
 * asked the server to forget (§7.1.1.1: then it must say so) and offered no client_max_window_bits
 * (§7.1.2.2: then it must not). */
static bool response_is_acceptable(const struct extension *response)
{
    return response->is_deflate && response->is_acceptable &&
           (response->given & SERVER_NO_CONTEXT_TAKEOVER) &&
           !(response->given & CLIENT_MAX_WINDOW_BITS);
}

/* RFC 6455 §4.1: an extension that was not asked for, or is answered twice, fails the connection.
 */
static int check_extensions(const struct http_headers *headers, bool was_offered,
                            struct handshake_deflate *deflate)
{
    struct handshake_deflate agreed = {.window_bits = DEFLATE_WINDOW_BITS_MAX};

    for (uint32_t i = 0; i < headers->count; i++) {
        struct str rest = headers->items[i].value;
        struct extension response;
        int found;

        if (!str_eq_nocase(headers->items[i].name, STR("Sec-WebSocket-Extensions"))) continue;
        while ((found = next_extension(&rest, &response)) > 0) {
            if (!was_offered || agreed.is_on || !response_is_acceptable(&response))
                return ERR_SYNTAX;
            agreed.is_on = true;
        }
        if (found < 0) return ERR_SYNTAX;
    }
    *deflate = agreed;
    return 0;
}

int handshake_check_response(const struct http_response *response,
                             const struct handshake_request *request,
                             struct handshake_deflate *deflate)
{
    const struct http_headers *headers = &response->headers;
    unsigned char key[KEY_TEXT_SIZE + 1];
    char accept[HANDSHAKE_ACCEPT_SIZE];

    /* RFC 6455 §4.1, the numbered list at its end. We ask for no subprotocol. */
    if (response->status != 101 || response->minor_version < 1) return ERR_SYNTAX;
    if (!http_header_has_token(headers, "Upgrade", "websocket")) return ERR_SYNTAX;
    if (!http_header_has_token(headers, "Connection", "upgrade")) return ERR_SYNTAX;
    encode_key(request, key);
    make_accept(str_of((const char *)key), accept);
    if (http_header_count(headers, "Sec-WebSocket-Accept") != 1 ||
        !str_eq(http_header(headers, "Sec-WebSocket-Accept"), (struct str){accept, sizeof(accept)}))
        return ERR_SYNTAX;
    if (http_header_count(headers, "Sec-WebSocket-Protocol")) return ERR_SYNTAX;
    return check_extensions(headers, request->offers_deflate, deflate);
}
