#ifndef FIO_BASE_STATE_H
#define FIO_BASE_STATE_H

#include "base/base.h"

/* Everything the module owns, one line each: adding a type, a name or an import here is enough
 * to have it declared, made, visited and cleared. Keep each list sorted within its room. */

/* Heap types, made by each room's fio_<thing>_setup_types(); the field is <name>Type. */
#define FIO_STATE_TYPES(X) \
    X(Ready)               \
    X(Loop)                \
    X(Handle)              \
    X(TimerHandle)         \
    X(Link)                \
    X(Transport)           \
    X(Listener)

/* Interned strings; the field is str_<name>. */
#define FIO_STATE_NAMES(X)    \
    X(__repr__)               \
    X(_callback_failed)       \
    X(_repr_info)             \
    X(call_exception_handler) \
    X(context)                \
    X(Task)                   \
    X(time)                   \
    X(create_task)            \
    X(create_future)          \
    X(done)                   \
    X(exception)              \
    X(handle)                 \
    X(loop)                   \
    X(message)                \
    X(protocol)               \
    X(set_exception)          \
    X(set_result)             \
    X(slow_callback_duration) \
    X(task)                   \
    X(transport)

/* Objects of other modules: X(field, module, attribute). Imported when the module is. */
#define FIO_STATE_IMPORTS(X)                                        \
    X(aio_tasks, "asyncio", "tasks")                                \
    X(aio_BaseEventLoop, "asyncio.base_events", "BaseEventLoop")    \
    X(aio_CancelledError, "asyncio.exceptions", "CancelledError")   \
    X(aio_extract_stack, "asyncio.format_helpers", "extract_stack") \
    X(aio_Future, "asyncio.futures", "Future")                      \
    X(aio_Handle, "asyncio.events", "Handle")                       \
    X(aio_Task, "asyncio.tasks", "Task")                            \
    X(aio_TimerHandle, "asyncio.events", "TimerHandle")             \
    X(aio_Transport, "asyncio.transports", "Transport")             \
    X(aio_BufferedProtocol, "asyncio.protocols", "BufferedProtocol")

typedef struct {
#define X(name) PyTypeObject *name##Type;
    FIO_STATE_TYPES(X)
#undef X
#define X(name) PyObject *str_##name;
    FIO_STATE_NAMES(X)
#undef X
#define X(field, module, attribute) PyObject *field;
    FIO_STATE_IMPORTS(X)
#undef X
} fio_state;

extern struct PyModuleDef fio_module;

FIO_MUST_CHECK int fio_state_init(fio_state *st);
int fio_state_traverse(fio_state *st, visitproc visit, void *arg);
int fio_state_clear(fio_state *st);

static inline fio_state *
fio_state_of_module(PyObject *module)
{
    fio_state *st = PyModule_GetState(module);
    assert(st != NULL);
    return st;
}

/* For slots and getters, which are not handed their defining class; works for subclasses.
 * Never call it in tp_dealloc or tp_clear: the module may be gone (CPython GH-115874). */
static inline fio_state *
fio_state_of_type(PyTypeObject *type)
{
    PyObject *module = PyType_GetModuleByDef(type, &fio_module);
    assert(module != NULL);
    return fio_state_of_module(module);
}

/* Makes the heap type of `spec` (bases: NULL, a type or a tuple) and keeps it in `*slot`. */
FIO_MUST_CHECK int fio_state_add_type(PyObject *module, PyTypeObject **slot, PyType_Spec *spec,
                                      PyObject *bases);

#endif
