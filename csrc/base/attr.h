#ifndef FIO_BASE_ATTR_H
#define FIO_BASE_ATTR_H

/* Rows of attribute tables for what asyncio keeps in attributes of the instance, and we in fields.
 * There a flag reads as what it was set to, and each can be deleted: unittest.mock.patch.object()
 * does. What a field cannot tell stands in a dict beside it, which few objects have. */

#include "base/base.h"

/* The field keeps no more than the truth of it. */
#define FIO_ATTR_FLAG 1
/* asyncio has it in a slot, whose second deletion has a text of its own. */
#define FIO_ATTR_SLOT 2

typedef struct {
    const char *name;
    getter get;
    setter set;
    void *closure;
    int traits; /* of those above */
} fio_attr;

/* The attribute; `aside` is the dict, or NULL. */
FIO_MUST_CHECK PyObject *fio_attr_get(PyObject *self, const fio_attr *attr, PyObject *aside);
/* Sets it, or marks it as deleted: the field keeps what it was then. */
FIO_MUST_CHECK int fio_attr_set(PyObject *self, const fio_attr *attr, PyObject *value,
                                PyObject **aside);

#endif
