/* Response heads and chunk framing into an output buffer: sizes are added up first, one reservation
 * is made, then everything is copied. */

#include "http/writer.h"

#define LITERAL(text) (fio_view){text, sizeof(text) - 1}

/* "HTTP/1.1 " + three digits + " " + CRLF. */
#define STATUS_LINE_EXTRA 15
#define LENGTH_LINE_SIZE (sizeof("Content-Length: \r\n") - 1 + FIO_DECIMAL_SIZE)

static char *
put(char *at, fio_view text)
{
    memcpy(at, text.base, text.size);
    return at + text.size;
}

static char *
put_crlf(char *at)
{
    memcpy(at, "\r\n", 2);
    return at + 2;
}

/* What a status line will be made of. */
typedef struct {
    fio_view line;   /* the whole line where it is a standard one */
    fio_view reason; /* else */
    int minor;
    int status;
} status_line;

static int
status_line_prepare(status_line *line, int minor, int status, const fio_view *reason)
{
    if (status < 100 || status > 999 || (reason != NULL && !fio_is_line_text(*reason))) {
        return FIO_E_BAD_REQUEST;
    }
    *line = (status_line){.minor = minor, .status = status};
    if (reason != NULL) {
        line->reason = *reason;
    }
    else {
        line->line = fio_status_line(status);
    }
    return FIO_OK;
}

static size_t
status_line_size(const status_line *line)
{
    return line->line.size > 0 ? line->line.size : STATUS_LINE_EXTRA + line->reason.size;
}

static char *
put_status_line(char *at, const status_line *line)
{
    char *const start = at;
    if (line->line.size > 0) {
        at = put(at, line->line);
    }
    else {
        at = put(at, LITERAL("HTTP/1.1 "));
        *at++ = (char)('0' + line->status / 100);
        *at++ = (char)('0' + line->status / 10 % 10);
        *at++ = (char)('0' + line->status % 10);
        *at++ = ' ';
        if (line->reason.size > 0) {
            at = put(at, line->reason);
        }
        at = put_crlf(at);
    }
    start[7] = (char)('0' + line->minor);
    return at;
}

static char *
put_length(char *at, uint64_t length)
{
    at = put(at, LITERAL("Content-Length: "));
    at += fio_decimal_write(at, length);
    return put_crlf(at);
}

static void
finish(fio_buf *out, const char *at)
{
    fio_buf_added(out, (size_t)(at - fio_buf_tail(out)));
}

int
fio_write_status(fio_buf *out, int minor, int status, const fio_view *reason)
{
    status_line line;
    const int result = status_line_prepare(&line, minor, status, reason);
    if (result != FIO_OK) {
        return result;
    }
    if (fio_buf_reserve(out, status_line_size(&line)) < 0) {
        return -1;
    }
    finish(out, put_status_line(fio_buf_tail(out), &line));
    return FIO_OK;
}

int
fio_write_field(fio_buf *out, fio_view name, fio_view value)
{
    if (!fio_is_token(name) || !fio_is_line_text(value)) {
        return FIO_E_BAD_REQUEST;
    }
    if (value.size > (size_t)PY_SSIZE_T_MAX - name.size - 4
        || fio_buf_reserve(out, name.size + value.size + 4) < 0) {
        return -1;
    }
    char *at = put(fio_buf_tail(out), name);
    *at++ = ':';
    *at++ = ' ';
    if (value.size > 0) {
        at = put(at, value);
    }
    finish(out, put_crlf(at));
    return FIO_OK;
}

int
fio_write_length(fio_buf *out, uint64_t length)
{
    if (fio_buf_reserve(out, LENGTH_LINE_SIZE) < 0) {
        return -1;
    }
    finish(out, put_length(fio_buf_tail(out), length));
    return FIO_OK;
}

int
fio_write_simple_head(fio_buf *out, const fio_simple_head *head)
{
    status_line line;
    const int result = status_line_prepare(&line, head->minor, head->status, head->reason);
    if (result != FIO_OK) {
        return result;
    }
    if (head->content_type != NULL && !fio_is_line_text(*head->content_type)) {
        return FIO_E_BAD_REQUEST;
    }
    const size_t connection = head->connection == NULL ? 0 : strlen(head->connection);
    const size_t type = head->content_type == NULL ? 0 : head->content_type->size;
    const size_t bound = status_line_size(&line) + sizeof("Content-Type: \r\n") + type
                         + LENGTH_LINE_SIZE + head->common.size + sizeof("Connection: \r\n")
                         + connection + 2;
    if (fio_buf_reserve(out, bound) < 0) {
        return -1;
    }
    char *at = put_status_line(fio_buf_tail(out), &line);
    if (head->content_type != NULL) {
        at = put(at, LITERAL("Content-Type: "));
        at = put_crlf(put(at, *head->content_type));
    }
    if (head->length >= 0) {
        at = put_length(at, (uint64_t)head->length);
    }
    if (head->common.size > 0) {
        at = put(at, head->common);
    }
    if (head->connection != NULL) {
        at = put(at, LITERAL("Connection: "));
        at = put_crlf(put(at, (fio_view){head->connection, connection}));
    }
    finish(out, put_crlf(at));
    return FIO_OK;
}

int
fio_write_chunk_start(fio_buf *out, size_t size)
{
    /* A chunk of size 0 would be the last one. */
    assert(size > 0);
    if (fio_buf_reserve(out, FIO_HEX_SIZE + 2) < 0) {
        return -1;
    }
    char *at = fio_buf_tail(out);
    at += fio_hex_write(at, size);
    finish(out, put_crlf(at));
    return FIO_OK;
}

int
fio_write_chunk_end(fio_buf *out)
{
    return fio_buf_append(out, "\r\n", 2);
}

int
fio_write_last_chunk(fio_buf *out)
{
    return fio_buf_append(out, "0\r\n\r\n", 5);
}
