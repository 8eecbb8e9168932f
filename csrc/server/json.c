/* A JSON writer for the data most answers are made of: one pass into a buffer on the C stack, where
 * the standard library's encoder makes a list of all pieces and joins it. What is not plain data is
 * left to that encoder. */

#include "server/json.h"

#include "base/num.h"

#include <math.h>

/* Most answers fit; 1 KiB more of stack in a call that calls nothing else. */
#define JSON_INLINE_SIZE 1024

/* Containers inside each other: more than this is left to the standard library, which finds the
 * circle there may be. */
#define JSON_MAX_DEPTH 32

typedef struct {
    char *base; /* owned unless it is `inline_bytes` */
    size_t size;
    size_t capacity;
    int depth;
    char inline_bytes[JSON_INLINE_SIZE];
} json_out;

static int json_value(json_out *out, PyObject *value);

/* -- the buffer -----------------------------------------------------------------------------------
 */

static int
out_grow(json_out *out, size_t size)
{
    if (size > SIZE_MAX / 4 || out->size > SIZE_MAX / 4) {
        PyErr_NoMemory();
        return -1;
    }
    size_t capacity = (out->size + size) * 2;
    char *base = out->base == out->inline_bytes ? NULL : out->base;
    base = PyMem_Realloc(base, capacity);
    if (base == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (out->base == out->inline_bytes) {
        memcpy(base, out->inline_bytes, out->size);
    }
    out->base = base;
    out->capacity = capacity;
    return 0;
}

/* Where `size` bytes can be written, or NULL with MemoryError set. */
static char *
out_reserve(json_out *out, size_t size)
{
    if (FIO_UNLIKELY(out->capacity - out->size < size) && out_grow(out, size) < 0) {
        return NULL;
    }
    return out->base + out->size;
}

static int
out_add(json_out *out, const char *text, size_t size)
{
    char *at = out_reserve(out, size);
    if (at == NULL) {
        return -1;
    }
    memcpy(at, text, size);
    out->size += size;
    return 0;
}

static int
out_add_char(json_out *out, char c)
{
    char *at = out_reserve(out, 1);
    if (at == NULL) {
        return -1;
    }
    *at = c;
    out->size++;
    return 0;
}

static int
out_add_pair(json_out *out, char first, char second)
{
    char *at = out_reserve(out, 2);
    if (at == NULL) {
        return -1;
    }
    at[0] = first;
    at[1] = second;
    out->size += 2;
    return 0;
}

/* -- strings --------------------------------------------------------------------------------------
 */

static bool
is_plain(Py_UCS4 c)
{
    /* One comparison for both bounds: what is less than a space becomes large. */
    return c - ' ' <= '~' - ' ' && c != '"' && c != '\\';
}

static char *
write_unit(char *at, unsigned int unit)
{
    static const char digits[] = "0123456789abcdef";
    *at++ = '\\';
    *at++ = 'u';
    for (int shift = 12; shift >= 0; shift -= 4) {
        *at++ = digits[unit >> shift & 15];
    }
    return at;
}

/* At most 12 characters: json.encoder.py_encode_basestring_ascii */
static char *
write_escaped(char *at, Py_UCS4 c)
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *pair = shorts; *pair != '\0'; pair += 2) {
        if (c == (unsigned char)pair[0]) {
            *at++ = '\\';
            *at++ = pair[1];
            return at;
        }
    }
    if (c > 0xFFFF) {
        c -= 0x10000;
        at = write_unit(at, 0xD800 | c >> 10);
        c = 0xDC00 | (c & 0x3FF);
    }
    return write_unit(at, c);
}

#define EACH_BYTE 0x0101010101010101U

/* All of eight ASCII characters are plain; may be false where they are. A byte less than n borrows
 * into its top bit when n is taken away, 127 carries into it when 1 is added. */
static bool
are_plain(uint64_t word)
{
    const uint64_t quotes = word ^ EACH_BYTE * '"';
    const uint64_t slashes = word ^ EACH_BYTE * '\\';
    const uint64_t special = (word - EACH_BYTE * ' ') | (quotes - EACH_BYTE) | (slashes - EACH_BYTE)
                             | (word + EACH_BYTE);
    return (special & EACH_BYTE * 0x80) == 0;
}

/* Copies characters of an ASCII string up to the first that needs an escape; how many those are. */
static size_t
copy_plain(char *at, const unsigned char *text, size_t size)
{
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t word = 0;
        memcpy(&word, text + i, 8);
        if (!are_plain(word)) {
            break;
        }
        memcpy(at + i, &word, 8);
    }
    for (; i < size && is_plain(text[i]); i++) {
        at[i] = (char)text[i];
    }
    return i;
}

static int
json_string(json_out *out, PyObject *value)
{
    size_t size = (size_t)PyUnicode_GET_LENGTH(value);
    size_t done = 0;
    char *at = out_reserve(out, size + 2);
    if (at == NULL) {
        return -1;
    }
    *at++ = '"';
    if (PyUnicode_IS_ASCII(value)) {
        const unsigned char *text = PyUnicode_1BYTE_DATA(value);
        done = copy_plain(at, text, size);
        at += done;
    }
    out->size = (size_t)(at - out->base);
    if (done < size) {
        int kind = PyUnicode_KIND(value);
        const void *text = PyUnicode_DATA(value);
        at = size > (SIZE_MAX - 1) / 12 ? NULL : out_reserve(out, (size - done) * 12 + 1);
        if (at == NULL) {
            return -1;
        }
        for (; done < size; done++) {
            Py_UCS4 c = PyUnicode_READ(kind, text, (Py_ssize_t)done);
            if (is_plain(c)) {
                *at++ = (char)c;
            }
            else {
                at = write_escaped(at, c);
            }
        }
    }
    *at++ = '"';
    out->size = (size_t)(at - out->base);
    return 0;
}

/* -- numbers and containers -----------------------------------------------------------------------
 */

static int
json_integer(json_out *out, PyObject *value)
{
    int overflow = 0;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0) {
        return 1;
    }
    char text[FIO_DECIMAL_SIZE + 1];
    size_t size = 0;
    if (number < 0) {
        text[size++] = '-';
    }
    uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    size += fio_decimal_write(text + size, magnitude);
    return out_add(out, text, size);
}

/* float.__repr__; what JSON has no word for is json.dumps()'s matter. */
static int
json_float(json_out *out, PyObject *value)
{
    double number = PyFloat_AS_DOUBLE(value);
    if (!isfinite(number)) {
        return 1;
    }
    char *text = PyOS_double_to_string(number, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (text == NULL) {
        return -1;
    }
    int result = out_add(out, text, strlen(text));
    PyMem_Free(text);
    return result;
}

/* A value inside another one. Without a GIL another thread may take it out of there: while this
 * one waits for the lock of the inner container, that of the outer one is let go. */
static int
json_inner(json_out *out, PyObject *value)
{
    if (FIO_GIL) {
        return json_value(out, value);
    }
    Py_INCREF(value);
    int result = json_value(out, value);
    Py_DECREF(value);
    return result;
}

static int
json_dict(json_out *out, PyObject *dict)
{
    Py_ssize_t position = 0;
    PyObject *key = NULL;
    PyObject *value = NULL;
    bool first = true;
    /* No Python code runs in here, so that under a GIL nobody changes the dict meanwhile. */
    while (PyDict_Next(dict, &position, &key, &value)) {
        if (!PyUnicode_CheckExact(key)) {
            return 1;
        }
        int result = first ? out_add_char(out, '{') : out_add_pair(out, ',', ' ');
        if (result == 0) {
            result = json_string(out, key);
        }
        if (result == 0) {
            result = out_add_pair(out, ':', ' ');
        }
        if (result == 0) {
            result = json_inner(out, value);
        }
        if (result != 0) {
            return result;
        }
        first = false;
    }
    return first ? out_add_pair(out, '{', '}') : out_add_char(out, '}');
}

static int
json_sequence(json_out *out, PyObject *sequence)
{
    int result = out_add_char(out, '[');
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence) && result == 0; i++) {
        if (i > 0) {
            result = out_add_pair(out, ',', ' ');
        }
        if (result == 0) {
            result = json_inner(out, PySequence_Fast_GET_ITEM(sequence, i));
        }
    }
    return result != 0 ? result : out_add_char(out, ']');
}

/* 0 written, 1 not ours to write, -1 MemoryError. */
static int
json_value(json_out *out, PyObject *value)
{
    if (PyUnicode_CheckExact(value)) {
        return json_string(out, value);
    }
    if (value == Py_None) {
        return out_add(out, "null", 4);
    }
    if (value == Py_True) {
        return out_add(out, "true", 4);
    }
    if (value == Py_False) {
        return out_add(out, "false", 5);
    }
    if (PyLong_CheckExact(value)) {
        return json_integer(out, value);
    }
    if (PyFloat_CheckExact(value)) {
        return json_float(out, value);
    }
    bool is_dict = PyDict_CheckExact(value);
    if (out->depth == JSON_MAX_DEPTH
        || !(is_dict || PyList_CheckExact(value) || PyTuple_CheckExact(value))) {
        return 1;
    }
    out->depth++;
    int result = 0;
    Py_BEGIN_CRITICAL_SECTION(value);
    result = is_dict ? json_dict(out, value) : json_sequence(out, value);
    Py_END_CRITICAL_SECTION();
    out->depth--;
    return result;
}

int
fio_json_dumps(PyObject *data, PyObject **text)
{
    json_out out;
    out.base = out.inline_bytes;
    out.size = 0;
    out.capacity = JSON_INLINE_SIZE;
    out.depth = 0;
    int result = json_value(&out, data);
    if (result == 0) {
        *text = PyUnicode_New((Py_ssize_t)out.size, 127);
        if (*text != NULL) {
            memcpy(PyUnicode_1BYTE_DATA(*text), out.base, out.size);
        }
        result = *text == NULL ? -1 : 0;
    }
    if (out.base != out.inline_bytes) {
        PyMem_Free(out.base);
    }
    return result;
}
