/* Decoded paths as Python strings. */

#include "server/path.h"

#include "base/text.h"
#include "http/url.h"

/* Longer paths than this are decoded in memory of the heap. */
#define PATH_STACK 512

static PyObject *
path_str(const char *text, size_t size)
{
    return fio_text_new((fio_view){text, size}, "surrogateescape");
}

PyObject *
fio_path_to_str(fio_view path)
{
    if (fio_percent_is_plain(path, FIO_DECODE_PATH)) {
        return path_str(path.base, path.size);
    }
    if (path.size <= PATH_STACK) {
        char text[PATH_STACK];
        return path_str(text, fio_percent_decode(text, path, FIO_DECODE_PATH));
    }
    char *text = PyMem_Malloc(path.size);
    if (text == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *result = path_str(text, fio_percent_decode(text, path, FIO_DECODE_PATH));
    PyMem_Free(text);
    return result;
}
