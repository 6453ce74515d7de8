#include "wire/http.h"

#include <assert.h>
#include <string.h>

/* The lines of a head, one after the other. */
struct lines {
    const char *bytes;
    size_t size;
    size_t at; /* where the next line begins */
};

/* Takes the next line, without its CRLF. Returns 1; 0 when its end is not there yet; -400 at a byte
 * that no line may have. */
static int next_line(struct lines *lines, struct str *line)
{
    for (size_t i = lines->at; i < lines->size; i++) {
        unsigned char c = (unsigned char)lines->bytes[i];

        if (c == '\r') {
            if (i + 1 == lines->size) return 0;
            if (lines->bytes[i + 1] != '\n') return -400; /* RFC 9112 §2.2: bare CR */
            *line = (struct str){lines->bytes + lines->at, i - lines->at};
            lines->at = i + 2;
            return 1;
        }
        /* RFC 9110 §5.5: CR, LF, NUL are dangerous, other controls invalid. A bare LF may be taken
         * for a line's end (RFC 9112 §2.2); not here: what one server reads as two lines and
         * another as one is how requests are smuggled. */
        if ((c < ' ' && c != '\t') || c == 0x7f) return -400;
    }
    return 0;
}

size_t http_token_size(struct str text)
{
    /* RFC 9110 §5.6.2: tchar, besides letters and digits. */
    static const char marks[] = "!#$%&'*+-.^_`|~";
    size_t i = 0;

    for (; i < text.size; i++) {
        char c = text.at[i];
        bool is_alphanumeric =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

        if (!is_alphanumeric && (c == '\0' || !strchr(marks, c))) break;
    }
    return i;
}

static bool starts_with(struct str text, struct str prefix)
{
    return text.size >= prefix.size && memcmp(text.at, prefix.at, prefix.size) == 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex_digit(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* "HTTP/1.1" and the like: 0 with *minor, -400, or -505. */
static int parse_version(struct str text, int *minor)
{
    if (text.size != 8 || !starts_with(text, STR("HTTP/")) || !is_digit(text.at[5]) ||
        text.at[6] != '.' || !is_digit(text.at[7]))
        return -400;
    if (text.at[5] != '1') return -505;
    *minor = text.at[7] == '0' ? 0 : 1; /* RFC 9110 §2.5: as the highest that we know */
    return 0;
}

/* RFC 9110 §9.1: a method that is known but not allowed is 405, an unrecognized one is 501. Method
 * names are case-sensitive. */
static int parse_method(struct str text, enum http_method *method)
{
    static const struct {
        const char *name;
        enum http_method method;
    } ours[] = {
        {"GET", HTTP_GET}, {"HEAD", HTTP_HEAD}, {"POST", HTTP_POST}, {"OPTIONS", HTTP_OPTIONS}};
    static const char *const others[] = {"PUT", "DELETE", "PATCH", "CONNECT", "TRACE"};

    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        if (!str_eq(text, str_of(ours[i].name))) continue;
        *method = ours[i].method;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (str_eq(text, str_of(others[i]))) return -405;
    return -501;
}

static bool is_reg_name_char(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           (c && strchr("-._~%!$&'()*+,;=", c));
}

/* How many bytes of host name, or of IP address in brackets, `text` begins with. RFC 3986 §3.2.2 */
static size_t host_name_size(struct str text)
{
    size_t i = 0;

    if (text.size == 0 || text.at[0] != '[') {
        while (i < text.size && is_reg_name_char(text.at[i]))
            i++;
        return i;
    }
    for (i = 1; i < text.size && text.at[i] != ']'; i++)
        if (!is_hex_digit(text.at[i]) && text.at[i] != ':' && text.at[i] != '.') return 0;
    return i < text.size ? i + 1 : 0;
}

/* RFC 9110 §7.2: a host and perhaps a port. An http URI's host is not empty (§4.2.1). */
static bool host_is_valid(struct str host)
{
    size_t i = host_name_size(host);

    if (i == 0) return false;
    if (i < host.size && host.at[i++] != ':') return false;
    while (i < host.size)
        if (!is_digit(host.at[i++])) return false;
    return true;
}

/* RFC 9112 §3.2.2: takes "http://host:port" off the front, or the same with https, which whoever
 * ends TLS before us may pass on. A user name there is an error (RFC 9110 §4.2.4): no host has an
 * "@". What was asked for by another name is served all the same, as with Host. */
static bool take_authority(struct str *rest)
{
    struct str scheme = str_split(rest, ':'), authority;

    if (!str_eq_nocase(scheme, STR("http")) && !str_eq_nocase(scheme, STR("https"))) return false;
    if (!starts_with(*rest, STR("//"))) return false;
    *rest = str_skip(*rest, 2);
    authority = *rest;
    for (size_t i = 0; i < authority.size; i++)
        if (authority.at[i] == '/' || authority.at[i] == '?') authority.size = i;
    *rest = str_skip(*rest, authority.size);
    return host_is_valid(authority);
}

/* RFC 9112 §3.2: origin-form, absolute-form, or asterisk-form with OPTIONS. Any visible ASCII but
 * '#' may stand in it: RFC 3986 has no "|[]{}^" in a query, browsers do. */
static int parse_target(struct str target, struct http_request *request)
{
    struct str rest = target;

    for (size_t i = 0; i < target.size; i++)
        if (target.at[i] < 0x21 || target.at[i] > 0x7e || target.at[i] == '#') return -400;
    if (str_eq(target, STR("*"))) {
        if (request->method != HTTP_OPTIONS) return -400;
    } else if (!starts_with(target, STR("/"))) {
        if (!take_authority(&rest)) return -400;
    }
    request->target = target;
    request->path = str_split(&rest, '?');
    if (!request->path.size) request->path = STR("/"); /* RFC 9110 §4.2.3 */
    request->query = rest;
    return 0;
}

/* RFC 9112 §3: method SP request-target SP HTTP-version */
static int parse_request_line(struct str line, struct http_request *request)
{
    size_t method_size = http_token_size(line);
    struct str rest, target;
    int err;

    if (method_size == 0 || method_size == line.size || line.at[method_size] != ' ') return -400;
    rest = str_skip(line, method_size + 1);
    target = str_split(&rest, ' ');
    err = parse_version(rest, &request->minor_version);
    if (err) return err;
    err = parse_method((struct str){line.at, method_size}, &request->method);
    if (err) return err;
    return parse_target(target, request);
}

static int parse_header(struct str line, struct http_headers *headers)
{
    size_t name_size = http_token_size(line);

    /* RFC 9112 §5.1: no space before the colon. A line that begins with white space continues the
     * one before (obs-fold, §5.2), which a server may refuse: its name would be empty. */
    if (name_size == 0 || name_size == line.size || line.at[name_size] != ':') return -400;
    if (headers->count == HTTP_HEADERS_MAX) return -431;
    headers->items[headers->count++] =
        (struct http_header){{line.at, name_size}, str_trim(str_skip(line, name_size + 1))};
    return 0;
}

/* The fields and the empty line behind them: 1, 0 when the end is not there yet, or -status. */
static int parse_headers(struct lines *lines, struct http_headers *headers)
{
    struct str line;
    int found, err;

    while ((found = next_line(lines, &line)) > 0) {
        if (line.size == 0) return 1;
        err = parse_header(line, headers);
        if (err) return err;
    }
    return found;
}

/* RFC 9112 §3.2: 400 to HTTP/1.1 without Host, to more than one, and to one that is not valid. */
static int check_host(const struct http_request *request)
{
    uint32_t count = http_header_count(&request->headers, "Host");

    if (count == 0) return request->minor_version == 0 ? 0 : -400;
    if (count > 1 || !host_is_valid(http_header(&request->headers, "Host"))) return -400;
    return 0;
}

static int parse_length(struct str text, uint64_t *length)
{
    uint64_t value = 0;

    if (text.size == 0) return -400;
    for (size_t i = 0; i < text.size; i++)
        if (!is_digit(text.at[i])) return -400;
    for (size_t i = 0; i < text.size; i++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.at[i] - '0'), &value))
            return -413;
    *length = value;
    return 0;
}

/* RFC 9112 §6.3, where requests are smuggled: whatever two servers might frame differently is
 * refused. That includes a Content-Length given twice with one value, which §8.6 of RFC 9110 leaves
 * to us. */
static int check_framing(struct http_request *request)
{
    const struct http_headers *headers = &request->headers;
    uint32_t lengths = http_header_count(headers, "Content-Length");

    if (http_header_count(headers, "Transfer-Encoding")) {
        /* §6.1: with Content-Length, or in HTTP/1.0, it is an error, perhaps an attack. We read no
         * transfer coding: chunked may be answered 411, others 501. */
        if (lengths || request->minor_version == 0) return -400;
        return str_eq_nocase(http_header(headers, "Transfer-Encoding"), STR("chunked")) ? -411
                                                                                        : -501;
    }
    if (lengths > 1) return -400;
    request->content_length = 0;
    return lengths ? parse_length(http_header(headers, "Content-Length"), &request->content_length)
                   : 0;
}

/* RFC 9112 §9.3 */
static bool keeps_alive(const struct http_request *request)
{
    if (http_header_has_token(&request->headers, "Connection", "close")) return false;
    return request->minor_version > 0 ||
           http_header_has_token(&request->headers, "Connection", "keep-alive");
}

/* The first line. RFC 9112 §2.2: empty lines before it should be ignored; some clients end a body
 * with one. They count towards the head's size. Returns as next_line(). */
static int first_line(struct lines *lines, struct str *line)
{
    int found;

    do
        found = next_line(lines, line);
    while (found > 0 && line->size == 0);
    return found;
}

int http_parse_head(const uint8_t *bytes, size_t size, struct http_request *out)
{
    bool is_full = size >= HTTP_HEAD_BYTES_MAX;
    struct lines lines = {(const char *)bytes, MIN(size, HTTP_HEAD_BYTES_MAX), 0};
    struct http_request request = {0};
    struct str line;
    int found, err;

    found = first_line(&lines, &line);
    if (found <= 0) return found == 0 && is_full ? -414 : found;
    err = parse_request_line(line, &request);
    if (err) return err;
    found = parse_headers(&lines, &request.headers);
    if (found <= 0) return found == 0 && is_full ? -431 : found;
    err = check_host(&request);
    if (err) return err;
    err = check_framing(&request);
    if (err) return err;
    request.keep_alive = keeps_alive(&request);
    *out = request;
    return (int)lines.at;
}

/* RFC 9112 §4: HTTP-version SP status-code SP reason; the reason may be missing, and some servers
 * then omit the space as well. */
static int parse_status_line(struct str line, struct http_response *response)
{
    struct str rest = line;
    struct str version = str_split(&rest, ' ');
    struct str status = str_split(&rest, ' ');

    if (parse_version(version, &response->minor_version)) return ERR_SYNTAX;
    if (status.size != 3) return ERR_SYNTAX;
    for (size_t i = 0; i < 3; i++) {
        if (!is_digit(status.at[i])) return ERR_SYNTAX;
        response->status = response->status * 10 + (status.at[i] - '0');
    }
    return response->status >= 100 ? 0 : ERR_SYNTAX;
}

int http_parse_response(const uint8_t *bytes, size_t size, struct http_response *out)
{
    bool is_full = size >= HTTP_HEAD_BYTES_MAX;
    struct lines lines = {(const char *)bytes, MIN(size, HTTP_HEAD_BYTES_MAX), 0};
    struct http_response response = {0};
    struct str line;
    int found, err;

    found = next_line(&lines, &line);
    if (found < 0) return ERR_SYNTAX;
    if (found == 0) return is_full ? ERR_FULL : 0;
    err = parse_status_line(line, &response);
    if (err) return err;
    found = parse_headers(&lines, &response.headers);
    if (found < 0) return found == -431 ? ERR_FULL : ERR_SYNTAX;
    if (found == 0) return is_full ? ERR_FULL : 0;
    *out = response;
    return (int)lines.at;
}

struct str http_header(const struct http_headers *headers, const char *name)
{
    for (uint32_t i = 0; i < headers->count; i++)
        if (str_eq_nocase(headers->items[i].name, str_of(name))) return headers->items[i].value;
    return (struct str){0};
}

uint32_t http_header_count(const struct http_headers *headers, const char *name)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < headers->count; i++)
        count += str_eq_nocase(headers->items[i].name, str_of(name));
    return count;
}

struct http_elements http_elements_of(const struct http_headers *headers, const char *name)
{
    return (struct http_elements){.headers = headers, .name = name};
}

bool http_next_element(struct http_elements *elements, struct str *element)
{
    for (;;) {
        while (elements->rest.size) {
            *element = str_trim(str_split(&elements->rest, ','));
            if (element->size) return true;
        }
        if (elements->next == elements->headers->count) return false;
        if (str_eq_nocase(elements->headers->items[elements->next].name, str_of(elements->name)))
            elements->rest = elements->headers->items[elements->next].value;
        elements->next++;
    }
}

bool http_header_has_token(const struct http_headers *headers, const char *name, const char *token)
{
    struct http_elements elements = http_elements_of(headers, name);
    struct str element;

    while (http_next_element(&elements, &element))
        if (str_eq_nocase(element, str_of(token))) return true;
    return false;
}

/* RFC 9110 §12.4.2: "q=" and 0 to 1 with at most three decimals. Is it more than 0? What is not a
 * weight is taken for 0: no compression is the answer everybody understands. */
static bool weight_is_positive(struct str weight)
{
    bool is_positive = false;

    if (weight.size < 3 || weight.size > 7 || (weight.at[0] | 0x20) != 'q' || weight.at[1] != '=')
        return false;
    if (weight.at[2] != '0' && weight.at[2] != '1') return false;
    if (weight.size > 3 && weight.at[3] != '.') return false;
    for (size_t i = 4; i < weight.size; i++) {
        if (!is_digit(weight.at[i]) || (weight.at[2] == '1' && weight.at[i] != '0')) return false;
        is_positive |= weight.at[i] != '0';
    }
    return is_positive || weight.at[2] == '1';
}

bool http_accepts_encoding(const struct http_headers *headers, const char *coding)
{
    struct http_elements elements = http_elements_of(headers, "Accept-Encoding");
    bool any_other = false;
    struct str element;

    while (http_next_element(&elements, &element)) {
        struct str rest = element;
        struct str name = str_trim(str_split(&rest, ';'));
        bool is_positive = rest.size == 0 || weight_is_positive(str_trim(rest));

        if (str_eq_nocase(name, str_of(coding))) return is_positive;
        if (str_eq(name, STR("*"))) any_other = is_positive;
    }
    return any_other;
}

const char *http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {508, "Loop Detected"}, /* RFC 5842 §7.2 */
    };

    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status) return reasons[i].reason;
    return "";
}

void http_write_status(struct buf *out, int status)
{
    assert(status >= 100 && status <= 599);
    buf_printf(out, "HTTP/1.1 %d %s\r\n", status, http_reason(status));
}

/* RFC 9110 §5.5: what would end the line, and begin one of somebody else's. */
static bool is_one_line(struct str text)
{
    return !text.size || (!memchr(text.at, '\r', text.size) && !memchr(text.at, '\n', text.size) &&
                          !memchr(text.at, '\0', text.size));
}

void http_write_header(struct buf *out, const char *name, struct str value)
{
    assert(http_token_size(str_of(name)) == strlen(name) && is_one_line(value));
    buf_add_text(out, name);
    buf_add_text(out, ": ");
    buf_add(out, value.at, value.size);
    buf_add_text(out, "\r\n");
}

void http_write_header_int(struct buf *out, const char *name, int64_t value)
{
    buf_add_text(out, name);
    buf_add_text(out, ": ");
    buf_add_int(out, value);
    buf_add_text(out, "\r\n");
}

void http_write_end(struct buf *out)
{
    buf_add_text(out, "\r\n");
}
