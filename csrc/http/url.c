/* URLs taken apart by hand-written scanners, and percent-decoding. */

#include "http/url.h"

#include "base/num.h"
#include "http/token.h"

#define PORT_MAX 65535

static bool
is_alpha(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool
is_alnum(char c)
{
    return is_alpha(c) || (c >= '0' && c <= '9');
}

/* Of a path, query or fragment; `also` is one more that the part may hold. */
static size_t
url_char_span(fio_view text, size_t at, const char *also)
{
    while (at < text.size && fio_char_is(text.base[at], FIO_CHAR_TARGET)
           && ((text.base[at] != '?' && text.base[at] != '#')
               || strchr(also, text.base[at]) != NULL)) {
        at++;
    }
    return at;
}

static fio_view
part(fio_view text, size_t start, size_t end)
{
    return end > start ? (fio_view){text.base + start, end - start} : (fio_view){NULL, 0};
}

/* [path] [ "?" query ] [ "#" fragment ] from `at` to the end of `text`. */
static bool
parse_tail(fio_view text, size_t at, fio_url *url)
{
    size_t end = url_char_span(text, at, "");
    url->path = part(text, at, end);
    if (end < text.size && text.base[end] == '?') {
        at = end + 1;
        end = url_char_span(text, at, "?");
        url->query = part(text, at, end);
    }
    if (end < text.size && text.base[end] == '#') {
        /* Further marks right behind the first are no part of it. */
        for (at = end + 1; at < text.size && text.base[at] == '#'; at++) {
        }
        end = url_char_span(text, at, "?#");
        url->fragment = part(text, at, end);
    }
    return end == text.size;
}

static size_t
ipv6_span(fio_view text, size_t at)
{
    while (at < text.size
           && (fio_char_is(text.base[at], FIO_CHAR_HEX) || text.base[at] == ':'
               || text.base[at] == '.')) {
        at++;
    }
    return at;
}

/* RFC 6874: the zone behind '%', not empty. */
static size_t
zone_span(fio_view text, size_t at)
{
    while (at < text.size && (is_alnum(text.base[at]) || strchr("%.-_~", text.base[at]) != NULL)
           && text.base[at] != '\0') {
        at++;
    }
    return at;
}

/* "[address]"; returns the offset behind it, 0 when it is malformed. */
static size_t
parse_ipv6(fio_view text, fio_url *url)
{
    size_t end = ipv6_span(text, 1);
    if (end == 1) {
        return 0;
    }
    if (end < text.size && text.base[end] == '%') {
        const size_t zone = end + 1;
        end = zone_span(text, zone);
        if (end == zone) {
            return 0;
        }
    }
    if (end == text.size || text.base[end] != ']') {
        return 0;
    }
    url->host = part(text, 1, end);
    return end + 1;
}

/* host [ ":" port ] */
static bool
parse_host(fio_view text, fio_url *url)
{
    size_t end = 0;
    if (text.size > 0 && text.base[0] == '[') {
        end = parse_ipv6(text, url);
    }
    else {
        while (end < text.size
               && (is_alnum(text.base[end]) || text.base[end] == '.' || text.base[end] == '-')) {
            end++;
        }
        url->host = part(text, 0, end);
    }
    if (end == 0) {
        return false;
    }
    if (end == text.size) {
        return true;
    }
    uint64_t port = 0;
    if (text.base[end] != ':'
        || !fio_decimal_parse((fio_view){text.base + end + 1, text.size - end - 1}, PORT_MAX,
                              &port)) {
        return false;
    }
    url->port = (int)port;
    return true;
}

/* [ userinfo "@" ] host [ ":" port ] */
static bool
parse_authority(fio_view text, fio_url *url)
{
    const char *at = memchr(text.base, '@', text.size);
    if (at == NULL) {
        return parse_host(text, url);
    }
    const size_t size = (size_t)(at - text.base);
    for (size_t i = 0; i < size; i++) {
        const char c = text.base[i];
        if (!is_alnum(c) && (c == '\0' || strchr("-_.!~*'()%;:&=+$,", c) == NULL)) {
            return false;
        }
    }
    url->userinfo = part(text, 0, size);
    return parse_host((fio_view){at + 1, text.size - size - 1}, url);
}

bool
fio_url_parse(fio_view text, fio_url *url)
{
    *url = (fio_url){.port = -1};
    if (text.size == 0) {
        return false;
    }
    if (text.base[0] == '/' || text.base[0] == '*') {
        return parse_tail(text, 0, url);
    }
    size_t schema = 0;
    while (schema < text.size && is_alpha(text.base[schema])) {
        schema++;
    }
    if (schema == 0 || text.size - schema < 3 || memcmp(text.base + schema, "://", 3) != 0) {
        return false;
    }
    url->schema = part(text, 0, schema);
    const size_t start = schema + 3;
    size_t end = start;
    while (end < text.size && text.base[end] != '/' && text.base[end] != '?') {
        end++;
    }
    return parse_authority((fio_view){text.base + start, end - start}, url)
           && parse_tail(text, end, url);
}

/* -- percent-decoding -----------------------------------------------------------------------------
 */

bool
fio_percent_is_plain(fio_view text, unsigned flags)
{
    if (text.size == 0) {
        return true;
    }
    return memchr(text.base, '%', text.size) == NULL
           && ((flags & FIO_DECODE_PLUS) == 0 || memchr(text.base, '+', text.size) == NULL);
}

/* The byte that the three characters at `at` stand for, or -1. */
static int
pair_at(fio_view text, size_t at)
{
    if (at >= text.size || text.size - at < 3 || text.base[at] != '%') {
        return -1;
    }
    const int high = fio_hex_digit((unsigned char)text.base[at + 1]);
    const int low = fio_hex_digit((unsigned char)text.base[at + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* How many pairs from `at` on make one UTF-8 sequence of several bytes (RFC 3629); they go to
 * `out`. 0 when they make none. */
static size_t
utf8_sequence(char out[4], fio_view text, size_t at, int lead)
{
    const size_t size = lead >= 0xc2 && lead <= 0xdf   ? 2
                        : lead >= 0xe0 && lead <= 0xef ? 3
                        : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                       : 0;
    for (size_t i = 1; i < size; i++) {
        int least = 0x80;
        int most = 0xbf;
        if (i == 1) {
            /* No overlong forms, no surrogates, nothing over U+10FFFF. */
            least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : least;
            most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : most;
        }
        const int next = pair_at(text, at + 3 * i);
        if (next < least || next > most) {
            return 0;
        }
        out[i] = (char)next;
    }
    out[0] = (char)lead;
    return size;
}

size_t
fio_percent_decode(char *out, fio_view text, unsigned flags)
{
    char *to = out;
    for (size_t at = 0; at < text.size;) {
        const char c = text.base[at];
        const int byte = c == '%' ? pair_at(text, at) : -1;
        if (byte < 0) {
            *to++ = c == '+' && (flags & FIO_DECODE_PLUS) != 0 ? ' ' : c;
            at++;
            continue;
        }
        char sequence[4] = {(char)byte, 0, 0, 0};
        size_t pairs = 1;
        if (byte >= 0x80 && (flags & FIO_DECODE_BYTES) == 0) {
            pairs = utf8_sequence(sequence, text, at, byte);
        }
        if (pairs == 0 || ((flags & FIO_DECODE_SEGMENT) != 0 && (byte == '/' || byte == '%'))) {
            memmove(to, text.base + at, 3);
            to += 3;
            at += 3;
            continue;
        }
        memcpy(to, sequence, pairs);
        to += pairs;
        at += 3 * pairs;
    }
    return (size_t)(to - out);
}

bool
fio_query_next(fio_view *rest, fio_view *name, fio_view *value)
{
    while (rest->size > 0) {
        /* Names and values are short: one pass for both signs. */
        const char *text = rest->base;
        size_t size = 0;
        size_t name_size = SIZE_MAX;
        for (; size < rest->size && text[size] != '&'; size++) {
            if (text[size] == '=' && name_size == SIZE_MAX) {
                name_size = size;
            }
        }
        const size_t taken = size < rest->size ? size + 1 : size;
        *rest = (fio_view){text + taken, rest->size - taken};
        if (size == 0) {
            continue;
        }
        const bool has_value = name_size != SIZE_MAX;
        *name = (fio_view){text, has_value ? name_size : size};
        *value = has_value ? (fio_view){text + name_size + 1, size - name_size - 1}
                           : (fio_view){text + size, 0};
        return true;
    }
    return false;
}
