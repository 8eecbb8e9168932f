#ifndef FIO_BASE_TEXT_H
#define FIO_BASE_TEXT_H

/* Python strings of the short texts that protocols are made of. */

#include "base/base.h"

/* PyUnicode_DecodeUTF8(text, errors), made for text that nearly always is ASCII. */
PyObject *fio_text_new(fio_view text, const char *errors);

/* The bytes of an exact ASCII str or bytes into `text`, ended by NUL; false for anything else, for
 * more than `most` of them, and where one of them is NUL. */
bool fio_text_copy(PyObject *value, size_t most, char *text);

#endif
