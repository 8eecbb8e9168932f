#ifndef FIO_HTTP_MESSAGE_H
#define FIO_HTTP_MESSAGE_H

/* An HTTP/1 message head as views: offsets into the bytes it was parsed from, so that those bytes
 * may move. Nothing here allocates or knows Python objects. */

#include "base/base.h"

/* Results of the codecs; 0 and positive values say what was found. */
typedef enum {
    FIO_OK = 0,
    FIO_E_BAD_REQUEST = -400,    /* malformed: 400 */
    FIO_E_BODY_TOO_LARGE = -413, /* 413 */
    FIO_E_URI_TOO_LONG = -414,   /* request line over its limit: 414 */
    FIO_E_HEAD_TOO_LARGE = -431, /* a field, the number of fields or the head over its limit: 431 */
    FIO_E_NOT_IMPLEMENTED = -501, /* method or transfer coding we do not know: 501 */
    FIO_E_VERSION = -505,         /* HTTP version not supported: 505 */
} fio_http_error;

/* A run of bytes of the head: base + offset, size. A head is at most 64 KiB - 1 by default and
 * 2^31 at most. */
typedef struct {
    uint32_t offset;
    uint32_t size;
} fio_span;

typedef enum {
    FIO_METHOD_OTHER = 0, /* known to llhttp, not one of those below: see head->method_span */
    FIO_METHOD_GET,
    FIO_METHOD_HEAD,
    FIO_METHOD_POST,
    FIO_METHOD_PUT,
    FIO_METHOD_DELETE,
    FIO_METHOD_PATCH,
    FIO_METHOD_OPTIONS,
    FIO_METHOD_CONNECT,
    FIO_METHOD_TRACE,
    FIO_METHOD_COUNT,
} fio_method;

/* Fields the engine itself looks at; http/token.c finds them while parsing. */
typedef enum {
    FIO_FIELD_OTHER = 0,
    FIO_FIELD_CONNECTION,
    FIO_FIELD_CONTENT_LENGTH,
    FIO_FIELD_CONTENT_TYPE,
    FIO_FIELD_COOKIE,
    FIO_FIELD_EXPECT,
    FIO_FIELD_HOST,
    FIO_FIELD_IF_MATCH,
    FIO_FIELD_IF_MODIFIED_SINCE,
    FIO_FIELD_IF_NONE_MATCH,
    FIO_FIELD_IF_RANGE,
    FIO_FIELD_IF_UNMODIFIED_SINCE,
    FIO_FIELD_RANGE,
    FIO_FIELD_TRANSFER_ENCODING,
    FIO_FIELD_UPGRADE,
} fio_field_id;

typedef struct {
    fio_span name;
    fio_span value; /* without the white space around it */
    uint8_t id;     /* fio_field_id */
} fio_field;

/* Limits of what a peer may send; all settable, the defaults in fio_limits_default. */
typedef struct {
    uint32_t line;   /* bytes of the request line */
    uint32_t field;  /* bytes of one field line (name and value) */
    uint32_t fields; /* number of fields, at most FIO_FIELDS_MAX */
    uint32_t head;   /* bytes of the whole head; of all trailers together; of chunk extensions */
    uint64_t body;   /* bytes of the body after transfer decoding; 0: no limit */
} fio_limits;

#define FIO_FIELDS_MAX 128

/* 8190, 8190, 128, 65536, 1 MiB: nginx's and Apache's defaults for lines, aiohttp's for bodies. */
extern const fio_limits fio_limits_default;

typedef struct {
    uint32_t size;        /* bytes of the whole head, with the empty line */
    uint8_t method;       /* fio_method */
    uint8_t minor;        /* HTTP/1.<minor>: 0 or 1 */
    bool keep_alive;      /* RFC 9112 9.3, from version and Connection */
    bool chunked;         /* Transfer-Encoding: chunked is the framing */
    bool has_length;      /* Content-Length is the framing */
    bool expect_continue; /* Expect: 100-continue on HTTP/1.1 */
    bool upgrade;         /* Connection: upgrade and an Upgrade field */
    uint64_t content_length;
    fio_span method_span;
    fio_span target; /* the request target as sent */
    fio_span path;   /* its path, still percent-encoded; of an absolute-form target too, then at
                        least "/"; "*" of the asterisk-form; size 0 of CONNECT */
    fio_span query;  /* after the first '?'; size 0 when none */
    fio_span host;   /* authority meant (RFC 9112 3.2.2): of an absolute-form or CONNECT target,
                        else the Host field's value; size 0 when none */
    uint32_t field_count;
    fio_field fields[FIO_FIELDS_MAX];
} fio_head;

static inline fio_view
fio_span_view(const char *base, fio_span span)
{
    return (fio_view){base + span.offset, span.size};
}

/* The first field of a known id, or NULL. */
const fio_field *fio_head_find(const fio_head *head, fio_field_id id);

#endif
