/* The scanner of multipart bodies. A delimiter line is looked for with its CRLF in front, which is
 * part of it and not of the content; the first one may stand at the very beginning. */

#include "http/multipart.h"

#include "http/token.h"

const fio_multipart_limits fio_multipart_limits_default = {.parts = 1000, .head = 8190};

enum {
    PHASE_BEGIN,    /* nothing read: the first delimiter needs no CRLF here */
    PHASE_PREAMBLE, /* before the first delimiter */
    PHASE_LINE,     /* behind a delimiter: the rest of its line */
    PHASE_HEAD,     /* in a part's header section */
    PHASE_FIRST,    /* behind it: a delimiter needs no CRLF here either, the empty line was it */
    PHASE_CONTENT,  /* in a part's content */
    PHASE_DONE,
};

bool
fio_multipart_start(fio_multipart *multipart, fio_view boundary, const fio_multipart_limits *limits)
{
    *multipart = (fio_multipart){.limits = *limits};
    if (boundary.size == 0 || boundary.size > FIO_BOUNDARY_MAX
        || boundary.base[boundary.size - 1] == ' ') {
        return false;
    }
    /* RFC 2046 5.1.1 allows fewer; these are harmless and some clients send them. */
    for (size_t i = 0; i < boundary.size; i++) {
        if (!fio_char_is(boundary.base[i], FIO_CHAR_TARGET) && boundary.base[i] != ' ') {
            return false;
        }
    }
    memcpy(multipart->delimiter, "\r\n--", 4);
    memcpy(multipart->delimiter + 4, boundary.base, boundary.size);
    multipart->delimiter_size = (uint8_t)(boundary.size + 4);
    return true;
}

static int
refuse(fio_multipart *multipart, int result, const char *error)
{
    multipart->error = error;
    return result;
}

/* How many bytes of `data` are before the delimiter; *found: it is there. Without it, the rest may
 * be its beginning. */
static size_t
before_delimiter(const fio_multipart *multipart, const char *data, size_t size, bool *found)
{
    const char *delimiter = memmem(data, size, multipart->delimiter, multipart->delimiter_size);
    *found = delimiter != NULL;
    if (delimiter != NULL) {
        return (size_t)(delimiter - data);
    }
    size_t kept = size < multipart->delimiter_size - 1U ? size : multipart->delimiter_size - 1U;
    while (kept > 0 && memcmp(data + size - kept, multipart->delimiter, kept) != 0) {
        kept--;
    }
    return size - kept;
}

/* Where a line begins: does the delimiter without its CRLF? Then the phase is PHASE_LINE, if it
 * does not, `otherwise`, and while that is open it stays. Returns how many bytes it took. */
static size_t
try_line(fio_multipart *multipart, const char *data, size_t size, uint8_t otherwise)
{
    const size_t line = multipart->delimiter_size - 2U;
    const size_t there = size < line ? size : line;
    if (memcmp(data, multipart->delimiter + 2, there) != 0) {
        multipart->phase = otherwise;
        return 0;
    }
    if (there < line) {
        return 0;
    }
    multipart->phase = PHASE_LINE;
    return line;
}

static int
read_preamble(fio_multipart *multipart, const char *data, size_t size, size_t *used)
{
    bool found = false;
    *used = before_delimiter(multipart, data, size, &found);
    if (*used > multipart->limits.head - multipart->preamble) {
        return refuse(multipart, FIO_E_BODY_TOO_LARGE, "multipart preamble too long");
    }
    multipart->preamble += (uint32_t)*used;
    if (found) {
        *used += multipart->delimiter_size;
        multipart->phase = PHASE_LINE;
    }
    return FIO_MULTIPART_MORE;
}

/* "--" of the last delimiter, or CRLF, with white space before it that gateways may have added. */
static int
read_line(fio_multipart *multipart, const char *data, size_t size, size_t *used)
{
    if (size >= 2 && data[0] == '-' && data[1] == '-') {
        multipart->phase = PHASE_DONE;
        *used = 2;
        return FIO_MULTIPART_DONE;
    }
    size_t end = 0;
    while (end < size && (data[end] == ' ' || data[end] == '\t')) {
        end++;
    }
    if (end > multipart->limits.head) {
        return refuse(multipart, FIO_E_BODY_TOO_LARGE, "multipart delimiter line too long");
    }
    if (size - end >= 2 && data[end] == '\r' && data[end + 1] == '\n') {
        if (multipart->parts == multipart->limits.parts) {
            return refuse(multipart, FIO_E_BODY_TOO_LARGE, "too many parts");
        }
        multipart->parts++;
        multipart->phase = PHASE_HEAD;
        *used = end + 2;
        return FIO_MULTIPART_MORE;
    }
    const bool may_become_one = end == size
                                || (size - end == 1
                                    && (data[end] == '\r' || (end == 0 && data[0] == '-')));
    return may_become_one ? FIO_MULTIPART_MORE
                          : refuse(multipart, FIO_E_BAD_REQUEST, "malformed multipart delimiter");
}

/* One field line, without its CRLF, at `start` of `data`. */
static int
read_field(fio_multipart *multipart, const char *data, size_t start, size_t end, fio_part *part)
{
    const fio_view line = {data + start, end - start};
    const char *colon = memchr(line.base, ':', line.size);
    if (part->field_count == FIO_PART_FIELDS_MAX) {
        return refuse(multipart, FIO_E_BODY_TOO_LARGE, "too many fields in a part");
    }
    if (colon == NULL) {
        return refuse(multipart, FIO_E_BAD_REQUEST, "malformed field in a part");
    }
    const fio_view name = {line.base, (size_t)(colon - line.base)};
    const fio_view value = fio_trim((fio_view){colon + 1, line.size - name.size - 1});
    if (!fio_is_token(name) || !fio_text_is(value, FIO_CHAR_VALUE)) {
        return refuse(multipart, FIO_E_BAD_REQUEST, "malformed field in a part");
    }
    part->fields[part->field_count++] = (fio_field){
        .name = {(uint32_t)start, (uint32_t)name.size},
        .value = {(uint32_t)(value.base - data), (uint32_t)value.size},
        .id = (uint8_t)fio_field_lookup(name.base, name.size),
    };
    return FIO_OK;
}

/* The section begins at the offset `begin`; *used is the offset behind it. */
static int
read_head(fio_multipart *multipart, const char *data, size_t begin, size_t size, size_t *used,
          fio_part *part)
{
    part->field_count = 0;
    for (size_t start = begin;;) {
        const char *crlf = start == size ? NULL : memmem(data + start, size - start, "\r\n", 2);
        const bool is_cr = crlf == NULL && size > start && data[size - 1] == '\r';
        const size_t end = crlf == NULL ? size - is_cr : (size_t)(crlf - data);
        if (end - begin > multipart->limits.head) {
            return refuse(multipart, FIO_E_BODY_TOO_LARGE, "header section of a part too long");
        }
        if (crlf == NULL) {
            return FIO_MULTIPART_MORE;
        }
        if (end == start) {
            multipart->phase = PHASE_FIRST;
            *used = end + 2;
            return FIO_MULTIPART_PART;
        }
        const int result = read_field(multipart, data, start, end, part);
        if (result < 0) {
            return result;
        }
        start = end + 2;
    }
}

static int
read_content(fio_multipart *multipart, const char *data, size_t size, size_t *used, fio_view *piece)
{
    bool found = false;
    const size_t content = before_delimiter(multipart, data, size, &found);
    if (content > 0) {
        *used = content;
        *piece = (fio_view){data, content};
        return FIO_MULTIPART_DATA;
    }
    if (!found) {
        return FIO_MULTIPART_MORE;
    }
    *used = multipart->delimiter_size;
    multipart->phase = PHASE_LINE;
    return FIO_MULTIPART_END;
}

/* One step from the offset *used on, which it moves. */
static int
step(fio_multipart *multipart, const fio_view data, size_t *used, fio_view *piece, fio_part *part)
{
    const char *rest = data.base + *used;
    const size_t left = data.size - *used;
    size_t taken = 0;
    int result = FIO_MULTIPART_MORE;
    switch (multipart->phase) {
    case PHASE_BEGIN:
        taken = try_line(multipart, rest, left, PHASE_PREAMBLE);
        break;
    case PHASE_PREAMBLE:
        result = read_preamble(multipart, rest, left, &taken);
        break;
    case PHASE_LINE:
        result = read_line(multipart, rest, left, &taken);
        break;
    case PHASE_HEAD:
        return read_head(multipart, data.base, *used, data.size, used, part);
    case PHASE_FIRST:
        taken = try_line(multipart, rest, left, PHASE_CONTENT);
        result = multipart->phase == PHASE_LINE ? FIO_MULTIPART_END : FIO_MULTIPART_MORE;
        break;
    case PHASE_CONTENT:
        result = read_content(multipart, rest, left, &taken, piece);
        break;
    default:
        taken = left;
        result = FIO_MULTIPART_DONE;
    }
    *used += taken;
    return result;
}

int
fio_multipart_next(fio_multipart *multipart, const char *data, size_t size, size_t *used,
                   fio_view *piece, fio_part *part)
{
    *used = 0;
    while (*used < size || multipart->phase == PHASE_DONE) {
        const uint8_t phase = multipart->phase;
        const int result = step(multipart, (fio_view){data, size}, used, piece, part);
        if (result != FIO_MULTIPART_MORE || multipart->phase == phase) {
            return result;
        }
    }
    return FIO_MULTIPART_MORE;
}
