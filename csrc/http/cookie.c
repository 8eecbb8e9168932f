/* The scanner of Cookie fields. */

#include "http/cookie.h"

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Of a name, or of a value without quotes: any visible character but these. */
static bool
is_word_char(char c, bool in_value)
{
    return c > ' ' && c < 0x7f && c != '"' && c != ';' && c != '\\' && (in_value || c != '=');
}

static size_t
skip_spaces(fio_view text, size_t at)
{
    while (at < text.size && is_space(text.base[at])) {
        at++;
    }
    return at;
}

static size_t
skip_word(fio_view text, size_t at, bool in_value)
{
    while (at < text.size && is_word_char(text.base[at], in_value)) {
        at++;
    }
    return at;
}

/* Behind the closing quote of the string that begins at `at`; where none closes it, at the next
 * ';' or quote. */
static size_t
skip_quoted(fio_view text, size_t at)
{
    for (size_t end = at + 1; end < text.size; end++) {
        if (text.base[end] == '"') {
            return end + 1;
        }
        if (text.base[end] == '\\') {
            end++;
        }
    }
    size_t end = at + 1;
    while (end < text.size && text.base[end] != '"' && text.base[end] != ';') {
        end++;
    }
    return end;
}

static fio_view
cut(fio_view text, size_t start, size_t end)
{
    while (start < end && is_space(text.base[start])) {
        start++;
    }
    while (end > start && is_space(text.base[end - 1])) {
        end--;
    }
    return (fio_view){text.base + start, end - start};
}

static bool
is_name(fio_view name)
{
    return name.size > 0 && skip_word(name, 0, false) == name.size
           && memchr(name.base, ',', name.size) == NULL;
}

/* One well-formed pair from `at` on; returns the offset behind it and its ';', or 0. */
static size_t
scan_pair(fio_view text, size_t at, fio_view *name, fio_view *value)
{
    size_t end = skip_word(text, at, false);
    if (end == at) {
        return 0;
    }
    *name = (fio_view){text.base + at, end - at};
    *value = (fio_view){text.base + end, 0};
    const size_t equals = skip_spaces(text, end);
    if (equals < text.size && text.base[equals] == '=') {
        const size_t start = skip_spaces(text, equals + 1);
        end = start < text.size && text.base[start] == '"' ? skip_quoted(text, start)
                                                           : skip_word(text, start, true);
        *value = (fio_view){text.base + start, end - start};
    }
    const size_t next = skip_spaces(text, end);
    if (next == text.size || text.base[next] == ';') {
        return next == text.size ? next : next + 1;
    }
    /* White space alone ends a pair, too. */
    return next > end ? next : 0;
}

bool
fio_cookie_next(fio_view *rest, fio_view *name, fio_view *value)
{
    while (rest->size > 0) {
        const fio_view text = *rest;
        const size_t at = skip_spaces(text, 0);
        size_t end = at == text.size ? at : scan_pair(text, at, name, value);
        if (end == 0) {
            /* Not well-formed: up to the next ';', whatever the value is. */
            const char *semicolon = memchr(text.base + at, ';', text.size - at);
            end = semicolon == NULL ? text.size : (size_t)(semicolon - text.base);
            const char *equals = memchr(text.base + at, '=', end - at);
            const size_t name_end = equals == NULL ? at : (size_t)(equals - text.base);
            *name = cut(text, at, name_end);
            *value = equals == NULL ? (fio_view){text.base, 0} : cut(text, name_end + 1, end);
            end += semicolon != NULL;
        }
        *rest = (fio_view){text.base + end, text.size - end};
        if (at < text.size && is_name(*name)) {
            return true;
        }
    }
    return false;
}

size_t
fio_cookie_unquote(char *out, fio_view value)
{
    if (value.size < 2 || value.base[0] != '"' || value.base[value.size - 1] != '"') {
        memcpy(out, value.base, value.size);
        return value.size;
    }
    char *to = out;
    const size_t end = value.size - 1;
    for (size_t i = 1; i < end; i++) {
        const char *at = value.base + i;
        if (*at != '\\' || i + 1 == end) {
            *to++ = *at;
            continue;
        }
        if (i + 3 < end && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7'
            && at[3] >= '0' && at[3] <= '7') {
            const int code = (at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0');
            if (code >= 0x80) {
                *to++ = (char)(0xc0 | code >> 6);
                *to++ = (char)(0x80 | (code & 0x3f));
            }
            else {
                *to++ = (char)code;
            }
            i += 3;
            continue;
        }
        *to++ = at[1];
        i++;
    }
    return (size_t)(to - out);
}
