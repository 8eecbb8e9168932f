/* Tables of HTTP's words and bytes, and the small scanners that go with them. */

#include "http/token.h"

#include "base/num.h"

#include <arpa/inet.h>

/* Bits: FIO_CHAR_*; sixteen bytes a line. */
const uint8_t fio_char_class[256] = {
    0x00, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x12, 0x00, 0x10, 0x10, 0x00, 0x10, 0x10,
    0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10,
    0x12, 0x37, 0x32, 0x33, 0x37, 0x33, 0x37, 0x37, 0x36, 0x36, 0x37, 0x37, 0x36, 0x37, 0x37, 0x32,
    0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x32, 0x36, 0x32, 0x36, 0x32, 0x32,
    0x32, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37,
    0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x32, 0x32, 0x32, 0x33, 0x37,
    0x33, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37,
    0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x32, 0x33, 0x32, 0x37, 0x10,
    0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12,
    0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12,
    0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12,
    0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12,
    0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12,
    0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12,
    0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12,
    0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12,
};

bool
fio_text_is(fio_view text, unsigned classes)
{
    for (size_t i = 0; i < text.size; i++) {
        if (!fio_char_is(text.base[i], classes)) {
            return false;
        }
    }
    return true;
}

bool
fio_is_token(fio_view text)
{
    return text.size > 0 && fio_text_is(text, FIO_CHAR_TOKEN);
}

bool
fio_is_line_text(fio_view text)
{
    /* Eight bytes at a time: (word - 0x20..) borrows into a byte's top bit when the byte is under
     * 0x20; such a word is looked at byte by byte. */
    size_t i = 0;
    for (; i + 8 <= text.size; i += 8) {
        uint64_t word = 0;
        memcpy(&word, text.base + i, 8);
        if (((word - 0x2020202020202020U) & ~word & 0x8080808080808080U) != 0
            && !fio_text_is((fio_view){text.base + i, 8}, FIO_CHAR_LINE)) {
            return false;
        }
    }
    return fio_text_is((fio_view){text.base + i, text.size - i}, FIO_CHAR_LINE);
}

static const char *const method_names[FIO_METHOD_COUNT] = {
    [FIO_METHOD_OTHER] = NULL,        [FIO_METHOD_GET] = "GET",
    [FIO_METHOD_HEAD] = "HEAD",       [FIO_METHOD_POST] = "POST",
    [FIO_METHOD_PUT] = "PUT",         [FIO_METHOD_DELETE] = "DELETE",
    [FIO_METHOD_PATCH] = "PATCH",     [FIO_METHOD_OPTIONS] = "OPTIONS",
    [FIO_METHOD_CONNECT] = "CONNECT", [FIO_METHOD_TRACE] = "TRACE",
};

fio_method
fio_method_lookup(fio_view name)
{
    if (name.size == 3 && memcmp(name.base, "GET", 3) == 0) {
        return FIO_METHOD_GET;
    }
    for (int i = FIO_METHOD_HEAD; i < FIO_METHOD_COUNT; i++) {
        if (strlen(method_names[i]) == name.size
            && memcmp(method_names[i], name.base, name.size) == 0) {
            return (fio_method)i;
        }
    }
    return FIO_METHOD_OTHER;
}

/* Compares `size` bytes with a lower-case word of letters and '-' (to which the bit 0x20 adds
 * nothing: no other byte of a token becomes one of those). */
static bool
is_word(const char *name, const char *word, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((name[i] | 0x20) != word[i]) {
            return false;
        }
    }
    return true;
}

#define FIELD(word, id) (is_word(name, word, sizeof(word) - 1) ? (id) : FIO_FIELD_OTHER)

fio_field_id
fio_field_lookup(const char *name, size_t size)
{
    switch (size) {
    case 4:
        return FIELD("host", FIO_FIELD_HOST);
    case 5:
        return FIELD("range", FIO_FIELD_RANGE);
    case 6:
        return (name[0] | 0x20) == 'c' ? FIELD("cookie", FIO_FIELD_COOKIE)
                                       : FIELD("expect", FIO_FIELD_EXPECT);
    case 7:
        return FIELD("upgrade", FIO_FIELD_UPGRADE);
    case 8:
        return (name[3] | 0x20) == 'm' ? FIELD("if-match", FIO_FIELD_IF_MATCH)
                                       : FIELD("if-range", FIO_FIELD_IF_RANGE);
    case 10:
        return FIELD("connection", FIO_FIELD_CONNECTION);
    case 12:
        return FIELD("content-type", FIO_FIELD_CONTENT_TYPE);
    case 13:
        return FIELD("if-none-match", FIO_FIELD_IF_NONE_MATCH);
    case 14:
        return FIELD("content-length", FIO_FIELD_CONTENT_LENGTH);
    case 17:
        return (name[0] | 0x20) == 'i' ? FIELD("if-modified-since", FIO_FIELD_IF_MODIFIED_SINCE)
                                       : FIELD("transfer-encoding", FIO_FIELD_TRANSFER_ENCODING);
    case 19:
        return FIELD("if-unmodified-since", FIO_FIELD_IF_UNMODIFIED_SINCE);
    default:
        return FIO_FIELD_OTHER;
    }
}

/* The registry of status codes (RFC 9110 15 and IANA), with the phrases of http.HTTPStatus. */
#define STATUSES(X)                           \
    X(100, "Continue")                        \
    X(101, "Switching Protocols")             \
    X(102, "Processing")                      \
    X(103, "Early Hints")                     \
    X(200, "OK")                              \
    X(201, "Created")                         \
    X(202, "Accepted")                        \
    X(203, "Non-Authoritative Information")   \
    X(204, "No Content")                      \
    X(205, "Reset Content")                   \
    X(206, "Partial Content")                 \
    X(207, "Multi-Status")                    \
    X(208, "Already Reported")                \
    X(226, "IM Used")                         \
    X(300, "Multiple Choices")                \
    X(301, "Moved Permanently")               \
    X(302, "Found")                           \
    X(303, "See Other")                       \
    X(304, "Not Modified")                    \
    X(305, "Use Proxy")                       \
    X(307, "Temporary Redirect")              \
    X(308, "Permanent Redirect")              \
    X(400, "Bad Request")                     \
    X(401, "Unauthorized")                    \
    X(402, "Payment Required")                \
    X(403, "Forbidden")                       \
    X(404, "Not Found")                       \
    X(405, "Method Not Allowed")              \
    X(406, "Not Acceptable")                  \
    X(407, "Proxy Authentication Required")   \
    X(408, "Request Timeout")                 \
    X(409, "Conflict")                        \
    X(410, "Gone")                            \
    X(411, "Length Required")                 \
    X(412, "Precondition Failed")             \
    X(413, "Request Entity Too Large")        \
    X(414, "Request-URI Too Long")            \
    X(415, "Unsupported Media Type")          \
    X(416, "Requested Range Not Satisfiable") \
    X(417, "Expectation Failed")              \
    X(418, "I'm a Teapot")                    \
    X(421, "Misdirected Request")             \
    X(422, "Unprocessable Entity")            \
    X(423, "Locked")                          \
    X(424, "Failed Dependency")               \
    X(425, "Too Early")                       \
    X(426, "Upgrade Required")                \
    X(428, "Precondition Required")           \
    X(429, "Too Many Requests")               \
    X(431, "Request Header Fields Too Large") \
    X(451, "Unavailable For Legal Reasons")   \
    X(500, "Internal Server Error")           \
    X(501, "Not Implemented")                 \
    X(502, "Bad Gateway")                     \
    X(503, "Service Unavailable")             \
    X(504, "Gateway Timeout")                 \
    X(505, "HTTP Version Not Supported")      \
    X(506, "Variant Also Negotiates")         \
    X(507, "Insufficient Storage")            \
    X(508, "Loop Detected")                   \
    X(510, "Not Extended")                    \
    X(511, "Network Authentication Required")

fio_view
fio_status_line(int status)
{
    switch (status) {
#define X(code, reason)                                        \
    case code:                                                 \
        return (fio_view){"HTTP/1.1 " #code " " reason "\r\n", \
                          sizeof("HTTP/1.1 " #code " " reason "\r\n") - 1};
        STATUSES(X)
#undef X
    default:
        return (fio_view){NULL, 0};
    }
}

const char *
fio_status_reason(int status)
{
    switch (status) {
#define X(code, reason) \
    case code:          \
        return reason;
        STATUSES(X)
#undef X
    default:
        return "";
    }
}

fio_view
fio_trim(fio_view text)
{
    while (text.size > 0 && (*text.base == ' ' || *text.base == '\t')) {
        text.base++;
        text.size--;
    }
    while (text.size > 0 && (text.base[text.size - 1] == ' ' || text.base[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

bool
fio_list_next(fio_view *rest, fio_view *member)
{
    if (rest->base == NULL) {
        return false;
    }
    const char *comma = memchr(rest->base, ',', rest->size);
    const size_t size = comma == NULL ? rest->size : (size_t)(comma - rest->base);
    *member = fio_trim((fio_view){rest->base, size});
    *rest = comma == NULL ? (fio_view){NULL, 0} : (fio_view){comma + 1, rest->size - size - 1};
    return true;
}

/* The size of the host at the start of `text`, or -1. */
static Py_ssize_t
host_size(fio_view text)
{
    if (text.size > 0 && text.base[0] == '[') {
        char address[INET6_ADDRSTRLEN];
        struct in6_addr binary;
        const char *end = memchr(text.base, ']', text.size);
        const size_t size = end == NULL ? 0 : (size_t)(end - text.base) - 1;
        if (size == 0 || size >= sizeof(address)) {
            return -1;
        }
        memcpy(address, text.base + 1, size);
        address[size] = '\0';
        return strlen(address) == size && inet_pton(AF_INET6, address, &binary) == 1
                   ? (Py_ssize_t)size + 2
                   : -1;
    }
    size_t i = 0;
    while (i < text.size && text.base[i] != ':') {
        if (text.base[i] == '%') {
            if (i + 2 >= text.size || !fio_char_is(text.base[i + 1], FIO_CHAR_HEX)
                || !fio_char_is(text.base[i + 2], FIO_CHAR_HEX)) {
                return -1;
            }
            i += 3;
            continue;
        }
        if (!fio_char_is(text.base[i], FIO_CHAR_HOST)) {
            return -1;
        }
        i++;
    }
    return i == 0 ? -1 : (Py_ssize_t)i;
}

bool
fio_is_authority(fio_view text, bool port_required)
{
    const Py_ssize_t host = host_size(text);
    if (host < 0) {
        return false;
    }
    const size_t used = (size_t)host;
    if (used == text.size) {
        return !port_required;
    }
    uint64_t port = 0;
    if (text.base[used] != ':') {
        return false;
    }
    /* RFC 3986 3.2.3: port = *DIGIT, an empty one is the scheme's. */
    return (used + 1 == text.size && !port_required)
           || fio_decimal_parse((fio_view){text.base + used + 1, text.size - used - 1}, 65535,
                                &port);
}
