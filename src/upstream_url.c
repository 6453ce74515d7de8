#include "upstream_url.h"

#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

/* A part of the URL, the caller's to free with curl_free(); NULL where there is none. */
static char *part_of(CURLU *url, CURLUPart part)
{
    char *text = NULL;

    return curl_url_get(url, part, &text, part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0) ? NULL
                                                                                           : text;
}

static bool has(CURLU *url, CURLUPart part)
{
    char *text = part_of(url, part);

    curl_free(text);
    return text != NULL;
}

static bool is_http(CURLU *url)
{
    char *scheme = part_of(url, CURLUPART_SCHEME);
    bool is = scheme && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

    curl_free(scheme);
    return is;
}

static char *place_of(CURLU *url)
{
    char *host = part_of(url, CURLUPART_HOST), *port = part_of(url, CURLUPART_PORT);
    char *place;

    place = mem_printf("%s:%s", host, port);
    curl_free(host);
    curl_free(port);
    return place;
}

static char *prefix_of(CURLU *url)
{
    char *path = part_of(url, CURLUPART_PATH), *prefix;
    size_t size = path ? strlen(path) : 0;

    while (size && path[size - 1] == '/')
        size--;
    prefix = size ? mem_strndup(path, size) : mem_strdup("");
    curl_free(path);
    return prefix;
}

static CURLU *parse_url(const char *text)
{
    CURLU *url = curl_url();

    if (!url) abort(); /* out of memory */
    if (!curl_url_set(url, CURLUPART_URL, text, 0) && is_http(url) && !has(url, CURLUPART_QUERY) &&
        !has(url, CURLUPART_FRAGMENT))
        return url;
    curl_url_cleanup(url);
    return NULL;
}

int upstream_url_parse(const char *text, struct upstream_url *out)
{
    CURLU *url = parse_url(text);

    if (!url) return ERR_SYNTAX;
    *out = (struct upstream_url){
        .base = mem_strdup(text), .prefix = prefix_of(url), .place = place_of(url)};
    curl_url_cleanup(url);
    return 0;
}

void upstream_url_deinit(struct upstream_url *url)
{
    free(url->base);
    free(url->prefix);
    free(url->place);
    *url = (struct upstream_url){0};
}
