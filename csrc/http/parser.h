#ifndef FIO_HTTP_PARSER_H
#define FIO_HTTP_PARSER_H

/* The request side of HTTP/1.1 as the server drives it: bytes in, a head and pieces of body out.
 * llhttp underneath, strict, with the checks on top that it leaves to its user (RFC 9112 3.2, 6.1,
 * 6.3, 7.1). The parser keeps no bytes and no memory of its own, so an idle connection may do
 * without one: a pool hands it out with the first byte of a request. */

#include "http/message.h"

/* Room for llhttp_t, which only parser*.c sees; it checks the size. */
#define FIO_LLHTTP_SIZE 128

typedef struct {
    _Alignas(void *) unsigned char llhttp[FIO_LLHTTP_SIZE];
    const fio_limits *limits; /* borrowed: of the server */
    fio_head *head;           /* borrowed: where the head goes, set by fio_parser_start() */
    const char *error;        /* short reason for a negative result, for the log and the answer */
    int failure;              /* that result: the parser says it again to every further call */
    bool chunk_end;           /* with FIO_PARSER_DATA of a chunked body: the piece ends its chunk */
    /* Private to parser.c: */
    uint8_t phase;
    bool in_trailer_name;
    uint32_t scanned;    /* bytes of the head that were read */
    uint32_t line_start; /* where the line being read begins */
    fio_span protocol;   /* "HTTP" of the request line */
    fio_span version;    /* "1.1" */
    uint32_t trailers;   /* fields behind the last chunk */
    uint64_t body_left;  /* of a Content-Length body */
    uint64_t body_seen;  /* of a chunked body: bytes of data */
    uint64_t framing;    /* of a chunked body: all other bytes */
    uint64_t chunks;     /* of a chunked body */
    const char *base;    /* what llhttp's callbacks count offsets from during one call */
    fio_view piece;      /* body that llhttp's callbacks found during one call */
} fio_parser;

/* Begins a new message whose head goes into `head`. */
void fio_parser_start(fio_parser *parser, const fio_limits *limits, fio_head *head);

/* Results of fio_parser_head() and fio_parser_body() that are not errors. */
#define FIO_PARSER_MORE 0 /* all bytes used, the head or body is not complete: call with more */
#define FIO_PARSER_HEAD 1 /* the head is complete: head->size bytes of it */
#define FIO_PARSER_DATA 2 /* *piece is body */
#define FIO_PARSER_DONE 3 /* the message is complete */

/* Reads on in the head. `base` is its first byte (blank lines before the request line belong to
 * it), `size` how many bytes of it are there so far, those of earlier calls included; base may
 * differ from call to call. FIO_PARSER_MORE, FIO_PARSER_HEAD or FIO_E*; of a Content-Length over
 * limits->body FIO_E_BODY_TOO_LARGE, with *head complete. After FIO_PARSER_HEAD the bytes from
 * base + head->size on are the body's (fio_parser_body), the next message's (when bodyless), or,
 * after CONNECT or an upgrade that the server agrees to, the new protocol's. */
FIO_MUST_CHECK int fio_parser_head(fio_parser *parser, const char *base, size_t size);

/* True once the head was read and the message has no body at all. */
bool fio_parser_is_bodyless(const fio_parser *parser);

/* Reads on in the body: uses *used of the `size` bytes at `data`. With FIO_PARSER_DATA *piece is a
 * view into data. FIO_PARSER_MORE, _DATA, _DONE or FIO_E*; after _DATA call again with the rest,
 * also where that is no bytes: _DONE may be next. Trailers are checked and dropped. */
FIO_MUST_CHECK int fio_parser_body(fio_parser *parser, const char *data, size_t size, size_t *used,
                                   fio_view *piece);

#endif
