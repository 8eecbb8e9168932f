/* Percent-decoding of request paths, for routing and for request.path. */

#include "server/path.h"

#include "base/num.h"

/* Longer paths than this are decoded in memory of the heap. */
#define PATH_STACK 512

int
fio_path_escaped_byte(const char *at, const char *end)
{
    if (end - at < 3 || at[0] != '%') {
        return -1;
    }
    int high = fio_hex_digit((unsigned char)at[1]);
    int low = fio_hex_digit((unsigned char)at[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Bytes of the UTF-8 sequence that `lead` (>= 0x80) begins, 0 where none does. */
static size_t
sequence_size(int lead)
{
    if (lead >= 0xc2 && lead <= 0xdf) {
        return 2;
    }
    if (lead >= 0xe0 && lead <= 0xef) {
        return 3;
    }
    return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/* Unicode 15, table 3-7: the second byte's range depends on the first. */
static bool
second_byte_fits(int lead, int second)
{
    switch (lead) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return second >= 0x80 && second <= 0xbf;
    }
}

/* Decodes the escaped multi-byte character at `at` into `out`: its bytes, or 0 when the escapes
 * are no valid UTF-8. */
static size_t
decode_character(const char *at, const char *end, int lead, char *out)
{
    size_t size = sequence_size(lead);
    if (size == 0) {
        return 0;
    }
    out[0] = (char)lead;
    for (size_t i = 1; i < size; i++) {
        if ((size_t)(end - at) < 3 * i) {
            return 0;
        }
        int byte = fio_path_escaped_byte(at + 3 * i, end);
        if (byte < 0x80 || byte > 0xbf || (i == 1 && !second_byte_fits(lead, byte))) {
            return 0;
        }
        out[i] = (char)byte;
    }
    return size;
}

size_t
fio_path_decode(fio_view path, fio_path_mode mode, char *out)
{
    const char *at = path.base;
    const char *end = path.base + path.size;
    char *to = out;
    while (at < end) {
        int byte = *at == '%' ? fio_path_escaped_byte(at, end) : -1;
        if (byte < 0) {
            *to++ = *at++;
            continue;
        }
        if (byte >= 0x80) {
            size_t size = decode_character(at, end, byte, to);
            if (size == 0) {
                memcpy(to, at, 3);
                to += 3;
                at += 3;
            }
            to += size;
            at += 3 * size;
            continue;
        }
        at += 3;
        if (mode == FIO_PATH_SAFE && (byte == '/' || byte == '%')) {
            memcpy(to, byte == '/' ? "%2F" : "%25", 3);
            to += 3;
        }
        else {
            *to++ = (char)byte;
        }
    }
    return (size_t)(to - out);
}

static PyObject *
path_str(const char *text, size_t size)
{
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)size, "surrogateescape");
}

PyObject *
fio_path_to_str(fio_view path, fio_path_mode mode)
{
    if (memchr(path.base, '%', path.size) == NULL) {
        return path_str(path.base, path.size);
    }
    if (path.size <= PATH_STACK) {
        char text[PATH_STACK];
        return path_str(text, fio_path_decode(path, mode, text));
    }
    char *text = PyMem_Malloc(path.size);
    if (text == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *result = path_str(text, fio_path_decode(path, mode, text));
    PyMem_Free(text);
    return result;
}
