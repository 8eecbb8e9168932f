/* A libFuzzer target for the codecs of csrc/http: whatever the bytes are, the request parser must
 * give the same result whole and in pieces and point only into them, and so must the multipart
 * parser; the URL, query, cookie, date and percent codecs must stay inside their buffers.
 * docs/contributing.rst says how to run it. */

#include "base/num.h"
#include "http/cookie.h"
#include "http/multipart.h"
#include "http/parser.h"
#include "http/token.h"
#include "http/url.h"

#include <stdlib.h>

#define REQUESTS_MAX 16

/* Small, so that a short input reaches them. */
static const fio_limits limits = {
    .line = 200, .field = 100, .fields = 12, .head = 600, .body = 300};

/* What one connection's bytes came to. */
typedef struct {
    int status; /* FIO_E* of the end, or 0 */
    uint32_t requests;
    uint64_t sum; /* over everything that was found */
} outcome;

static void
check(bool truth)
{
    if (!truth) {
        abort();
    }
}

static void
add(outcome *out, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++) {
        out->sum = (out->sum ^ bytes[i]) * 1099511628211U;
    }
}

static void
add_span(outcome *out, const fio_head *head, const char *base, fio_span span)
{
    check((uint64_t)span.offset + span.size <= head->size);
    add(out, &span, sizeof(span));
    add(out, base + span.offset, span.size);
}

static void
add_head(outcome *out, const fio_head *head, const char *base)
{
    check(head->size >= 2 && memcmp(base + head->size - 2, "\r\n", 2) == 0);
    add_span(out, head, base, head->method_span);
    add_span(out, head, base, head->target);
    add_span(out, head, base, head->path);
    add_span(out, head, base, head->query);
    add_span(out, head, base, head->host);
    for (uint32_t i = 0; i < head->field_count; i++) {
        const fio_view name = fio_span_view(base, head->fields[i].name);
        const fio_view value = fio_span_view(base, head->fields[i].value);
        check(fio_is_token(name) && fio_text_is(value, FIO_CHAR_VALUE));
        check(fio_trim(value).size == value.size);
        check(head->fields[i].id == fio_field_lookup(name.base, name.size));
        add_span(out, head, base, head->fields[i].name);
        add_span(out, head, base, head->fields[i].value);
    }
    const fio_view target = fio_span_view(base, head->target);
    check(target.size > 0 && fio_text_is(target, FIO_CHAR_TARGET));
    check(!(head->chunked && head->has_length));
    add(out, &head->content_length, sizeof(head->content_length));
}

/* `data` from `at` on, of which `step` more bytes come to light with every call (0: all). */
typedef struct {
    const char *data;
    size_t size;
    size_t at;
    size_t seen;
    size_t step;
} feed;

static bool
see_more(feed *in)
{
    if (in->seen == in->size) {
        return false;
    }
    const size_t left = in->size - in->seen;
    in->seen += in->step == 0 || in->step > left ? left : in->step;
    return true;
}

/* A copy of exactly the bytes seen, so that the sanitizer notices a look behind them. */
static char *
exact(const char *data, size_t size)
{
    char *copy = malloc(size == 0 ? 1 : size);
    check(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

static int
read_head(feed *in, fio_parser *parser, fio_head *head, outcome *out)
{
    int result = FIO_PARSER_MORE;
    while (result == FIO_PARSER_MORE && see_more(in)) {
        char *copy = exact(in->data + in->at, in->seen - in->at);
        result = fio_parser_head(parser, copy, in->seen - in->at);
        if (result == FIO_PARSER_HEAD) {
            add_head(out, head, copy);
        }
        free(copy);
    }
    return result;
}

static int
read_body(feed *in, fio_parser *parser, outcome *out)
{
    for (;;) {
        size_t used = 0;
        fio_view piece = {NULL, 0};
        char *copy = exact(in->data + in->at, in->seen - in->at);
        const int result = fio_parser_body(parser, copy, in->seen - in->at, &used, &piece);
        check(used <= in->seen - in->at);
        if (result == FIO_PARSER_DATA) {
            check(piece.size > 0 && piece.base >= copy && piece.base + piece.size <= copy + used);
            add(out, piece.base, piece.size);
        }
        free(copy);
        in->at += used;
        if (result < 0 || result == FIO_PARSER_DONE
            || (result == FIO_PARSER_MORE && !see_more(in))) {
            return result;
        }
    }
}

static outcome
read_all(const char *data, size_t size, size_t step)
{
    outcome out = {.sum = 14695981039346656037U};
    feed in = {.data = data, .size = size, .step = step};
    static fio_head head;
    fio_parser parser;
    while (out.requests < REQUESTS_MAX) {
        fio_parser_start(&parser, &limits, &head);
        if (in.seen > in.at) {
            in.seen = in.at;
        }
        int result = read_head(&in, &parser, &head, &out);
        if (result == FIO_PARSER_HEAD) {
            in.at += head.size;
            result = read_body(&in, &parser, &out);
        }
        out.status = result < 0 ? result : 0;
        if (result != FIO_PARSER_DONE) {
            break;
        }
        out.requests++;
    }
    return out;
}

/* A multipart body, of which `step` more bytes are seen with every call (0: all). */
static outcome
read_multipart(const char *data, size_t size, size_t step)
{
    static const fio_multipart_limits few = {.parts = 5, .head = 100};
    outcome out = {.sum = 14695981039346656037U};
    feed in = {.data = data, .size = size, .step = step};
    fio_multipart multipart;
    int result = FIO_MULTIPART_MORE;
    check(fio_multipart_start(&multipart, (fio_view){"b0", 2}, &few));
    while (result >= 0 && result != FIO_MULTIPART_DONE
           && (result != FIO_MULTIPART_MORE || see_more(&in))) {
        fio_part part;
        fio_view piece = {NULL, 0};
        size_t used = 0;
        const size_t there = in.seen - in.at;
        char *copy = exact(data + in.at, there);
        result = fio_multipart_next(&multipart, copy, there, &used, &piece, &part);
        check(used <= there);
        if (result == FIO_MULTIPART_DATA) {
            check(piece.size > 0 && piece.base >= copy && piece.base + piece.size <= copy + used);
            add(&out, piece.base, piece.size);
        }
        for (uint32_t i = 0; result == FIO_MULTIPART_PART && i < part.field_count; i++) {
            check(part.fields[i].value.offset + part.fields[i].value.size <= used);
            add(&out, copy + part.fields[i].name.offset, part.fields[i].name.size);
        }
        out.requests += result == FIO_MULTIPART_END;
        free(copy);
        in.at += used;
    }
    out.status = result < 0 ? result : 0;
    return out;
}

static void
check_same(outcome whole, outcome pieces)
{
    check(whole.requests == pieces.requests && whole.status == pieces.status);
    check(whole.status != 0 || whole.sum == pieces.sum);
}

static void
try_text(const char *data, size_t size)
{
    const fio_view text = {data, size};
    fio_url url;
    fio_view rest = text;
    fio_view name;
    fio_view value;
    int64_t seconds = 0;
    char *out = exact(data, size);
    (void)fio_url_parse(text, &url);
    for (unsigned flags = 0; flags < 8; flags++) {
        check(fio_percent_decode(out, text, flags) <= size);
    }
    while (fio_query_next(&rest, &name, &value)) {
        check(name.size + value.size <= size);
    }
    rest = text;
    while (fio_cookie_next(&rest, &name, &value)) {
        check(fio_is_line_text(name) && fio_cookie_unquote(out, value) <= value.size);
    }
    if (fio_http_date_parse(text, &seconds)) {
        char date[FIO_HTTP_DATE_SIZE];
        fio_http_date(date, seconds);
    }
    (void)fio_is_authority(text, false);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const size_t step = data[0] % 16 + 1U;
    char *bytes = exact((const char *)data + 1, size - 1);
    check_same(read_all(bytes, size - 1, 0), read_all(bytes, size - 1, step));
    check_same(read_multipart(bytes, size - 1, 0), read_multipart(bytes, size - 1, step));
    try_text(bytes, size - 1);
    free(bytes);
    return 0;
}
