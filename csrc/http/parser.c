/* The request parser: llhttp reads, its callbacks note where things are, and what llhttp leaves to
 * its user is checked when a line or the head is complete. Every result depends on the bytes alone,
 * not on how they were cut into reads. */

#include "http/parser.h"

#include "base/num.h"
#include "http/target.h"
#include "http/token.h"

#include "llhttp.h"

static_assert(sizeof(llhttp_t) <= FIO_LLHTTP_SIZE, "FIO_LLHTTP_SIZE is too small");

/* RFC 9112 2.2 asks for one empty line before the request line to be ignored; a few more do no
 * harm, an endless row of them would be work for nothing. */
#define BLANK_LINES_MAX 8

/* No method is longer; RFC 9112 3: 501 for one that is longer than any we know. */
#define METHOD_SIZE_MAX 32

/* What the size line and the end of one chunk may take: sixteen digits, two line ends. Beyond that
 * it is extensions and leading zeros, and limits->head bounds them. */
#define CHUNK_FRAMING_SIZE 20

enum {
    PHASE_START,    /* blank lines and the method */
    PHASE_LINE,     /* the rest of the request line */
    PHASE_BETWEEN,  /* between lines */
    PHASE_NAME,     /* in a field's name */
    PHASE_VALUE,    /* in its value */
    PHASE_BODYLESS, /* the head was read: no body */
    PHASE_LENGTH,   /* ... a body of known length */
    PHASE_CHUNKED,  /* ... a chunked body */
    PHASE_DONE,
};

static llhttp_t *
llhttp_of(fio_parser *parser)
{
    return (llhttp_t *)(void *)parser->llhttp;
}

static fio_parser *
parser_of(llhttp_t *llhttp)
{
    return FIO_CONTAINER_OF(llhttp, fio_parser, llhttp);
}

/* Notes why the message is refused; the first reason stands. -1 ends llhttp's run. */
static int
fail(fio_parser *parser, int failure, const char *error)
{
    if (parser->failure == FIO_OK) {
        parser->failure = failure;
        parser->error = error;
    }
    return -1;
}

/* -- lines ----------------------------------------------------------------------------------------
 */

/* The line being read reaches up to the offset `end`: is it too long? */
static int
check_line_size(fio_parser *parser, uint32_t end)
{
    const uint32_t size = end - parser->line_start;
    switch (parser->phase) {
    case PHASE_LINE:
        if (size > parser->limits->line) {
            return fail(parser, FIO_E_URI_TOO_LONG, "request line too long");
        }
        return 0;
    case PHASE_NAME:
    case PHASE_VALUE:
        if (size > parser->limits->field) {
            return fail(parser, FIO_E_HEAD_TOO_LARGE, "header field too long");
        }
        return 0;
    default:
        return 0;
    }
}

/* HTTP/0.9: the request line ended without a version. */
static int
fail_unversioned(fio_parser *parser)
{
    const fio_span target = parser->head->target;
    if (check_line_size(parser, target.offset + target.size) < 0) {
        return -1;
    }
    return fail(parser, FIO_E_BAD_REQUEST, "invalid request line");
}

/* As check_line_size(), where llhttp may have gone on behind a line without a version. */
static int
check_line(fio_parser *parser, uint32_t end)
{
    const fio_span target = parser->head->target;
    const uint32_t target_end = target.offset + target.size;
    if (parser->phase == PHASE_LINE && target.size > 0 && target_end < end
        && (parser->base[target_end] == '\r' || parser->base[target_end] == '\n')) {
        return fail_unversioned(parser);
    }
    return check_line_size(parser, end);
}

/* The bytes from `at` on belong to `span`, which `is_new` says begins with them. */
static void
extend_span(const fio_parser *parser, fio_span *span, const char *at, size_t size, bool is_new)
{
    const uint32_t offset = (uint32_t)(at - parser->base);
    if (is_new) {
        span->offset = offset;
    }
    span->size = offset + (uint32_t)size - span->offset;
}

static int
on_url(llhttp_t *llhttp, const char *at, size_t size)
{
    fio_parser *parser = parser_of(llhttp);
    fio_span *target = &parser->head->target;
    extend_span(parser, target, at, size, target->size == 0);
    return 0;
}

static int
on_protocol(llhttp_t *llhttp, const char *at, size_t size)
{
    fio_parser *parser = parser_of(llhttp);
    extend_span(parser, &parser->protocol, at, size, parser->protocol.size == 0);
    return 0;
}

/* The request line's end: llhttp has seen "HTTP/1.1" or the like. */
static int
finish_request_line(fio_parser *parser)
{
    const fio_head *head = parser->head;
    const fio_span version = parser->version;
    const char *text = parser->base + version.offset;
    const uint32_t target_end = head->target.offset + head->target.size;
    if (check_line_size(parser, version.offset + version.size) < 0) {
        return -1;
    }
    /* RFC 9112 3: single spaces. */
    if (head->target.offset != head->method_span.offset + head->method_span.size + 1
        || parser->protocol.offset != target_end + 1) {
        return fail(parser, FIO_E_BAD_REQUEST, "invalid request line");
    }
    if (parser->protocol.size != 4
        || memcmp(parser->base + parser->protocol.offset, "HTTP", 4) != 0) {
        return fail(parser, FIO_E_BAD_REQUEST, "not HTTP");
    }
    if (text[0] != '1' || (text[2] != '0' && text[2] != '1')) {
        const bool is_version = text[0] >= '0' && text[0] <= '9' && text[1] == '.' && text[2] >= '0'
                                && text[2] <= '9';
        return fail(parser, is_version ? FIO_E_VERSION : FIO_E_BAD_REQUEST,
                    "HTTP version not supported");
    }
    parser->phase = PHASE_BETWEEN;
    return 0;
}

static int
on_version(llhttp_t *llhttp, const char *at, size_t size)
{
    fio_parser *parser = parser_of(llhttp);
    if (parser->phase != PHASE_LINE) {
        return 0;
    }
    extend_span(parser, &parser->version, at, size, parser->version.size == 0);
    /* llhttp knows versions of one digit, a dot and one digit. */
    return parser->version.size == 3 ? finish_request_line(parser) : 0;
}

/* A field's name begins at `offset`. */
static int
begin_field(fio_parser *parser, uint32_t offset)
{
    const uint32_t count = parser->head->field_count;
    if (count >= parser->limits->fields || count >= FIO_FIELDS_MAX) {
        return fail(parser, FIO_E_HEAD_TOO_LARGE, "too many header fields");
    }
    parser->phase = PHASE_NAME;
    parser->line_start = offset;
    return 0;
}

static int
on_header_field(llhttp_t *llhttp, const char *at, size_t size)
{
    fio_parser *parser = parser_of(llhttp);
    fio_head *head = parser->head;
    if (parser->phase == PHASE_CHUNKED) {
        if (!parser->in_trailer_name && ++parser->trailers > parser->limits->fields) {
            return fail(parser, FIO_E_HEAD_TOO_LARGE, "too many trailer fields");
        }
        parser->in_trailer_name = true;
        return 0;
    }
    if (parser->phase == PHASE_LINE) {
        return fail_unversioned(parser);
    }
    const bool is_new = parser->phase != PHASE_NAME;
    if (is_new && begin_field(parser, (uint32_t)(at - parser->base)) < 0) {
        return -1;
    }
    extend_span(parser, &head->fields[head->field_count].name, at, size, is_new);
    return 0;
}

static int
on_header_value(llhttp_t *llhttp, const char *at, size_t size)
{
    fio_parser *parser = parser_of(llhttp);
    fio_head *head = parser->head;
    if (parser->phase == PHASE_CHUNKED) {
        return 0;
    }
    const bool is_new = parser->phase != PHASE_VALUE;
    parser->phase = PHASE_VALUE;
    extend_span(parser, &head->fields[head->field_count].value, at, size, is_new);
    return 0;
}

static int
on_header_value_complete(llhttp_t *llhttp)
{
    fio_parser *parser = parser_of(llhttp);
    fio_head *head = parser->head;
    if (parser->phase == PHASE_CHUNKED) {
        parser->in_trailer_name = false;
        return 0;
    }
    fio_field *field = &head->fields[head->field_count];
    if (parser->phase != PHASE_VALUE) {
        field->value = (fio_span){field->name.offset + field->name.size + 1, 0};
    }
    if (check_line_size(parser, field->value.offset + field->value.size) < 0) {
        return -1;
    }
    /* llhttp's value reaches up to the line's end. */
    const char *value = parser->base + field->value.offset;
    while (field->value.size > 0
           && (value[field->value.size - 1] == ' ' || value[field->value.size - 1] == '\t')) {
        field->value.size--;
    }
    field->id = (uint8_t)fio_field_lookup(parser->base + field->name.offset, field->name.size);
    head->field_count++;
    parser->phase = PHASE_BETWEEN;
    return 0;
}

/* -- the head as a whole --------------------------------------------------------------------------
 */

/* What one pass over the fields finds. */
typedef struct {
    uint32_t hosts;
    uint32_t codings; /* members of all Transfer-Encoding fields */
    bool last_is_chunked;
    bool chunked_before; /* "chunked" was there and not last */
} field_facts;

/* RFC 9112 6.1, 7: one Transfer-Encoding value. */
static int
note_codings(fio_parser *parser, fio_view value, field_facts *facts)
{
    fio_view rest = value;
    fio_view coding;
    while (fio_list_next(&rest, &coding)) {
        const char *end = coding.size == 0 ? NULL : memchr(coding.base, ';', coding.size);
        const fio_view name = end == NULL
                                  ? coding
                                  : fio_trim((fio_view){coding.base, (size_t)(end - coding.base)});
        if (!fio_is_token(name)) {
            return fail(parser, FIO_E_BAD_REQUEST, "invalid Transfer-Encoding");
        }
        facts->codings++;
        facts->chunked_before = facts->chunked_before || facts->last_is_chunked;
        facts->last_is_chunked = coding.size == 7 && fio_ascii_equal(coding.base, "chunked", 7);
    }
    return 0;
}

static int
note_field(fio_parser *parser, const fio_field *field, field_facts *facts)
{
    fio_head *head = parser->head;
    const fio_view value = fio_span_view(parser->base, field->value);
    switch (field->id) {
    case FIO_FIELD_HOST:
        /* RFC 9112 3.2: an empty value is a valid one. */
        if (facts->hosts++ > 0) {
            return fail(parser, FIO_E_BAD_REQUEST, "more than one Host");
        }
        if (value.size > 0 && !fio_is_authority(value, false)) {
            return fail(parser, FIO_E_BAD_REQUEST, "invalid Host");
        }
        head->host = field->value;
        return 0;
    case FIO_FIELD_TRANSFER_ENCODING:
        return note_codings(parser, value, facts);
    case FIO_FIELD_EXPECT:
        /* RFC 9110 10.1.1: of HTTP/1.0 it is ignored. */
        if (head->minor == 1 && value.size == 12
            && fio_ascii_equal(value.base, "100-continue", 12)) {
            head->expect_continue = true;
        }
        return 0;
    default:
        return 0;
    }
}

/* RFC 9112 6.1, 6.3: which body follows. */
static int
decide_framing(fio_parser *parser, const field_facts *facts)
{
    fio_head *head = parser->head;
    llhttp_t *llhttp = llhttp_of(parser);
    head->has_length = (llhttp->flags & F_CONTENT_LENGTH) != 0;
    head->content_length = head->has_length ? llhttp->content_length : 0;
    if (facts->codings > 0 || (llhttp->flags & F_TRANSFER_ENCODING) != 0) {
        if (head->minor == 0) {
            return fail(parser, FIO_E_BAD_REQUEST, "Transfer-Encoding in HTTP/1.0");
        }
        if (head->has_length) {
            return fail(parser, FIO_E_BAD_REQUEST, "Content-Length with Transfer-Encoding");
        }
        if (!facts->last_is_chunked || facts->chunked_before) {
            return fail(parser, FIO_E_BAD_REQUEST, "Transfer-Encoding does not end in chunked");
        }
        if (facts->codings > 1) {
            return fail(parser, FIO_E_NOT_IMPLEMENTED, "unknown transfer coding");
        }
        if (head->method == FIO_METHOD_CONNECT) {
            /* RFC 9110 9.3.6: what follows is the tunnel's. */
            return fail(parser, FIO_E_BAD_REQUEST, "CONNECT with a body");
        }
        head->chunked = true;
        /* llhttp does not know it by itself where a tab follows the word (RFC 9110 5.6.3). */
        llhttp->flags |= F_CHUNKED;
        parser->phase = PHASE_CHUNKED;
        return 0;
    }
    if (head->content_length == 0) {
        parser->phase = PHASE_BODYLESS;
        return 0;
    }
    if (head->method == FIO_METHOD_CONNECT) {
        return fail(parser, FIO_E_BAD_REQUEST, "CONNECT with a body");
    }
    parser->body_left = head->content_length;
    parser->phase = PHASE_LENGTH;
    if (parser->limits->body != 0 && head->content_length > parser->limits->body) {
        return fail(parser, FIO_E_BODY_TOO_LARGE, "body too large");
    }
    return 0;
}

static int
finish_head(fio_parser *parser)
{
    fio_head *head = parser->head;
    const llhttp_t *llhttp = llhttp_of(parser);
    if (parser->phase != PHASE_BETWEEN) {
        return fail_unversioned(parser);
    }
    head->minor = parser->base[parser->version.offset + 2] == '1';
    field_facts facts = {0};
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id != FIO_FIELD_OTHER
            && note_field(parser, &head->fields[i], &facts) < 0) {
            return -1;
        }
    }
    if (facts.hosts == 0 && head->minor == 1) {
        return fail(parser, FIO_E_BAD_REQUEST, "no Host");
    }
    const char *reason = NULL;
    if (fio_target_split(head, parser->base, &reason) < 0) {
        return fail(parser, FIO_E_BAD_REQUEST, reason);
    }
    const unsigned flags = llhttp->flags;
    /* RFC 9112 9.3; RFC 9110 7.8: of HTTP/1.0 Upgrade is ignored. */
    head->keep_alive = head->method != FIO_METHOD_CONNECT && (flags & F_CONNECTION_CLOSE) == 0
                       && (head->minor == 1 || (flags & F_CONNECTION_KEEP_ALIVE) != 0);
    head->upgrade = head->minor == 1 && (flags & F_UPGRADE) != 0
                    && (flags & F_CONNECTION_UPGRADE) != 0;
    return decide_framing(parser, &facts);
}

static int
on_headers_complete(llhttp_t *llhttp)
{
    fio_parser *parser = parser_of(llhttp);
    return finish_head(parser) < 0 ? -1 : HPE_PAUSED;
}

/* -- a chunked body -------------------------------------------------------------------------------
 */

static int
on_body(llhttp_t *llhttp, const char *at, size_t size)
{
    fio_parser *parser = parser_of(llhttp);
    parser->body_seen += size;
    parser->piece = (fio_view){at, size};
    /* llhttp counts down what is left of the chunk. */
    parser->chunk_end = llhttp->content_length == 0;
    return HPE_PAUSED;
}

static int
on_chunk_header(llhttp_t *llhttp)
{
    fio_parser *parser = parser_of(llhttp);
    const uint64_t limit = parser->limits->body;
    parser->chunks++;
    if (limit != 0 && llhttp->content_length > limit - parser->body_seen) {
        return fail(parser, FIO_E_BODY_TOO_LARGE, "body too large");
    }
    return 0;
}

static int
on_message_complete(llhttp_t *llhttp)
{
    parser_of(llhttp)->phase = PHASE_DONE;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_protocol = on_protocol,
    .on_version = on_version,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_message_complete = on_message_complete,
};

/* -- driving it -----------------------------------------------------------------------------------
 */

void
fio_parser_start(fio_parser *parser, const fio_limits *limits, fio_head *head)
{
    *parser = (fio_parser){.limits = limits, .head = head};
    llhttp_init(llhttp_of(parser), HTTP_REQUEST, &settings);
    memset(head, 0, offsetof(fio_head, fields));
}

/* Steps over blank lines and finds the method's end, so that llhttp gets to see a whole method and
 * its "invalid method" means one that is unknown. 1: go on; 0: more bytes are needed; -1: failed.
 */
static int
scan_method(fio_parser *parser, const char *base, size_t size)
{
    size_t at = parser->scanned;
    while (at < size && base[at] == '\r') {
        if (at + 1 == size) {
            return 0;
        }
        if (base[at + 1] != '\n' || at + 2 > (size_t)BLANK_LINES_MAX * 2) {
            return fail(parser, FIO_E_BAD_REQUEST, "invalid request line");
        }
        at += 2;
    }
    parser->scanned = (uint32_t)at;
    size_t end = at;
    while (end < size && fio_char_is(base[end], FIO_CHAR_TOKEN)) {
        end++;
    }
    if (end - at > METHOD_SIZE_MAX) {
        return fail(parser, FIO_E_NOT_IMPLEMENTED, "unknown method");
    }
    if (end == size) {
        return 0;
    }
    if (base[end] != ' ' || end == at) {
        return fail(parser, FIO_E_BAD_REQUEST, "invalid request line");
    }
    parser->line_start = (uint32_t)at;
    parser->head->method_span = (fio_span){(uint32_t)at, (uint32_t)(end - at)};
    parser->head->method = (uint8_t)fio_method_lookup((fio_view){base + at, end - at});
    parser->phase = PHASE_LINE;
    return 1;
}

/* What an error of llhttp means for the head; it lies at `end`. */
static void
fail_by_llhttp(fio_parser *parser, uint32_t end)
{
    const llhttp_t *llhttp = llhttp_of(parser);
    if (parser->phase == PHASE_BETWEEN) {
        /* In a name of which no callback has told. */
        const char *line = memrchr(parser->base, '\n', end);
        const uint32_t start = line == NULL ? end : (uint32_t)(line + 1 - parser->base);
        if (start < end && begin_field(parser, start) < 0) {
            return;
        }
    }
    if (check_line(parser, end) < 0) {
        return;
    }
    /* Methods of other protocols are found out when the protocol has been read. */
    const bool is_method = llhttp->error == HPE_INVALID_METHOD
                           || (llhttp->error == HPE_INVALID_CONSTANT && parser->protocol.size == 4
                               && parser->version.size == 0
                               && memcmp(parser->base + parser->protocol.offset, "HTTP", 4) == 0);
    (void)fail(parser, is_method ? FIO_E_NOT_IMPLEMENTED : FIO_E_BAD_REQUEST,
               is_method ? "unknown method" : llhttp->reason);
}

int
fio_parser_head(fio_parser *parser, const char *base, size_t size)
{
    if (parser->failure != FIO_OK) {
        return parser->failure;
    }
    assert(parser->phase < PHASE_BODYLESS);
    /* No byte behind the limit is looked at. */
    const size_t end = size < parser->limits->head ? size : parser->limits->head;
    if (parser->phase == PHASE_START) {
        const int found = scan_method(parser, base, end);
        if (found <= 0) {
            return found < 0 ? parser->failure : FIO_PARSER_MORE;
        }
    }
    llhttp_t *llhttp = llhttp_of(parser);
    parser->base = base;
    const llhttp_errno_t error = llhttp_execute(llhttp, base + parser->scanned,
                                                end - parser->scanned);
    if (error == HPE_OK) {
        parser->scanned = (uint32_t)end;
        /* The line's end is no part of it; a field is complete only with the byte behind that. */
        size_t text = end;
        text -= text > parser->line_start && base[text - 1] == '\n';
        text -= text > parser->line_start && base[text - 1] == '\r';
        if (check_line(parser, (uint32_t)text) == 0 && end == parser->limits->head) {
            (void)fail(parser, FIO_E_HEAD_TOO_LARGE, "head too large");
        }
        return parser->failure != FIO_OK ? parser->failure : FIO_PARSER_MORE;
    }
    parser->scanned = (uint32_t)(llhttp->error_pos - base);
    if (error == HPE_PAUSED) {
        parser->head->size = parser->scanned;
        return FIO_PARSER_HEAD;
    }
    if (parser->failure == FIO_OK) {
        fail_by_llhttp(parser, parser->scanned);
    }
    parser->head->size = parser->scanned;
    return parser->failure;
}

bool
fio_parser_is_bodyless(const fio_parser *parser)
{
    return parser->phase == PHASE_BODYLESS;
}

static int
chunked_body(fio_parser *parser, const char *data, size_t size, size_t *used, fio_view *piece)
{
    llhttp_t *llhttp = llhttp_of(parser);
    parser->piece = (fio_view){NULL, 0};
    llhttp_resume(llhttp);
    const llhttp_errno_t error = llhttp_execute(llhttp, data, size);
    *used = error == HPE_OK ? size : (size_t)(llhttp->error_pos - data);
    if (error != HPE_OK && error != HPE_PAUSED) {
        (void)fail(parser, FIO_E_BAD_REQUEST, llhttp->reason);
        return parser->failure;
    }
    parser->framing += *used - parser->piece.size;
    if (parser->framing > parser->limits->head + (parser->chunks + 1) * CHUNK_FRAMING_SIZE) {
        if (parser->trailers > 0) {
            (void)fail(parser, FIO_E_HEAD_TOO_LARGE, "trailers too large");
        }
        else {
            (void)fail(parser, FIO_E_BODY_TOO_LARGE, "chunk extensions too large");
        }
        return parser->failure;
    }
    if (parser->piece.size > 0) {
        *piece = parser->piece;
        return FIO_PARSER_DATA;
    }
    return parser->phase == PHASE_DONE ? FIO_PARSER_DONE : FIO_PARSER_MORE;
}

int
fio_parser_body(fio_parser *parser, const char *data, size_t size, size_t *used, fio_view *piece)
{
    *used = 0;
    if (parser->failure != FIO_OK) {
        return parser->failure;
    }
    assert(parser->phase >= PHASE_BODYLESS);
    if (parser->phase == PHASE_CHUNKED) {
        return chunked_body(parser, data, size, used, piece);
    }
    if (parser->phase == PHASE_LENGTH && parser->body_left > 0) {
        if (size == 0) {
            return FIO_PARSER_MORE;
        }
        const size_t taken = size < parser->body_left ? size : (size_t)parser->body_left;
        parser->body_left -= taken;
        *used = taken;
        *piece = (fio_view){data, taken};
        return FIO_PARSER_DATA;
    }
    parser->phase = PHASE_DONE;
    return FIO_PARSER_DONE;
}
