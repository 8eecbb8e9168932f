#ifndef FIO_HTTP_WRITER_H
#define FIO_HTTP_WRITER_H

/* Response heads and chunk framing, appended to an output buffer. Every function that takes bytes
 * from the application refuses what would end a line (RFC 9110 5.5: CR, LF, NUL) with
 * FIO_E_BAD_REQUEST and has appended nothing then; -1 means MemoryError is set. Reason phrases are
 * in http/token.h, dates in base/num.h. */

#include "base/buf.h"
#include "base/num.h"
#include "http/message.h"
#include "http/token.h"

/* "HTTP/1.1 200 OK\r\n"; reason NULL: the standard one of http/token.c. Status 100..999. */
FIO_MUST_CHECK int fio_write_status(fio_buf *out, int minor, int status, const fio_view *reason);

/* "Name: value\r\n", name checked to be a token (RFC 9110 5.6.2). */
FIO_MUST_CHECK int fio_write_field(fio_buf *out, fio_view name, fio_view value);

/* "Content-Length: n\r\n" */
FIO_MUST_CHECK int fio_write_length(fio_buf *out, uint64_t length);

/* A whole small answer's head in one go: status line, Content-Type, Content-Length (when length >=
 * 0), Date and Server (`common`: the lines the server keeps ready, with their CRLFs), Connection
 * ("close" / "keep-alive" when connection is not NULL), and the empty line. */
typedef struct {
    int minor;
    int status;
    const fio_view *reason;       /* NULL: standard */
    const fio_view *content_type; /* NULL: none */
    int64_t length;               /* -1: no Content-Length */
    fio_view common;
    const char *connection; /* NULL: no Connection field */
} fio_simple_head;

FIO_MUST_CHECK int fio_write_simple_head(fio_buf *out, const fio_simple_head *head);

/* The size line before a chunk's data / the CRLF behind it / the last chunk with no trailers. */
FIO_MUST_CHECK int fio_write_chunk_start(fio_buf *out, size_t size);
FIO_MUST_CHECK int fio_write_chunk_end(fio_buf *out);
FIO_MUST_CHECK int fio_write_last_chunk(fio_buf *out);

#endif
