#ifndef FIO_HTTP_URL_H
#define FIO_HTTP_URL_H

/* URLs in parts, percent-decoding, and the pairs of a query string. */

#include "http/message.h"

/* A URL's parts as views into it; base NULL: not there. */
typedef struct {
    fio_view schema;
    fio_view userinfo;
    fio_view host; /* of an IPv6 address without its brackets */
    int port;      /* -1: not there */
    fio_view path;
    fio_view query;
    fio_view fragment;
} fio_url;

/* Takes apart a path or "*" with query and fragment, or an absolute URL, in the way of
 * http_parser_parse_url() (a part that would be empty is not there). False when it is neither. */
FIO_MUST_CHECK bool fio_url_parse(fio_view text, fio_url *url);

/* How fio_percent_decode() reads. */
#define FIO_DECODE_PLUS 1    /* '+' is a space: application/x-www-form-urlencoded */
#define FIO_DECODE_SEGMENT 2 /* "%2F" and "%25" stay: for a path still to be matched or split */
#define FIO_DECODE_BYTES 4   /* bytes that are no UTF-8 are decoded too; else their "%XX" stays */

/* What yarl, and so aiohttp, does with a query string and with a path. */
#define FIO_DECODE_QUERY (FIO_DECODE_PLUS | FIO_DECODE_BYTES)
#define FIO_DECODE_PATH 0

/* True when decoding would change nothing. */
bool fio_percent_is_plain(fio_view text, unsigned flags);

/* Decodes the "%XX" of `text` into `out`, which has room for text.size bytes (it may be text.base),
 * and returns how many it wrote. A '%' that begins no pair of hex digits stays. */
size_t fio_percent_decode(char *out, fio_view text, unsigned flags);

/* The next non-empty "name=value" between '&'s; *rest moves behind it. False at the end. Both are
 * still encoded; without '=' the value is empty. */
bool fio_query_next(fio_view *rest, fio_view *name, fio_view *value);

#endif
