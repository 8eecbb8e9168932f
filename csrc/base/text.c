/* Python strings: the way of ASCII, which needs no decoder. */

#include "base/text.h"

static bool
is_ascii(fio_view text)
{
    size_t i = 0;
    for (; i + 8 <= text.size; i += 8) {
        uint64_t word = 0;
        memcpy(&word, text.base + i, 8);
        if ((word & 0x8080808080808080U) != 0) {
            return false;
        }
    }
    unsigned char bits = 0;
    for (; i < text.size; i++) {
        bits |= (unsigned char)text.base[i];
    }
    return bits < 0x80;
}

PyObject *
fio_text_new(fio_view text, const char *errors)
{
    /* The interpreter keeps the empty string and those of one character. */
    if (text.size < 2 || !is_ascii(text)) {
        return PyUnicode_DecodeUTF8(text.base, (Py_ssize_t)text.size, errors);
    }
    PyObject *result = PyUnicode_New((Py_ssize_t)text.size, 127);
    if (result != NULL) {
        memcpy(PyUnicode_1BYTE_DATA(result), text.base, text.size);
    }
    return result;
}

bool
fio_text_copy(PyObject *value, size_t most, char *text)
{
    const char *from;
    Py_ssize_t size;
    if (PyUnicode_CheckExact(value) && PyUnicode_IS_ASCII(value)) {
        from = PyUnicode_DATA(value);
        size = PyUnicode_GET_LENGTH(value);
    }
    else if (PyBytes_CheckExact(value)) {
        from = PyBytes_AS_STRING(value);
        size = PyBytes_GET_SIZE(value);
    }
    else {
        return false;
    }
    if ((size_t)size > most || memchr(from, '\0', (size_t)size) != NULL) {
        return false;
    }
    memcpy(text, from, (size_t)size);
    text[size] = '\0';
    return true;
}
