#ifndef FIO_BASE_TEXT_H
#define FIO_BASE_TEXT_H

/* Python strings of the short texts that protocols are made of. */

#include "base/base.h"

/* PyUnicode_DecodeUTF8(text, errors), made for text that nearly always is ASCII. */
PyObject *fio_text_new(fio_view text, const char *errors);

#endif
