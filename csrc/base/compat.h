#ifndef FIO_BASE_COMPAT_H
#define FIO_BASE_COMPAT_H

/* Every difference between the CPython versions, each under the newest API's name or that of what
 * a version can do. The only file, Python's included, that asks which version this is: what is to
 * be known of a new one is here. */

#include <Python.h>
#include <stdbool.h>

#if PY_VERSION_HEX < 0x030c0000
/* 3.12: the raised exception as one normalised object. */
static inline PyObject *
PyErr_GetRaisedException(void)
{
    PyObject *type = NULL;
    PyObject *exc = NULL;
    PyObject *tb = NULL;
    PyErr_Fetch(&type, &exc, &tb);
    if (type == NULL) {
        return NULL;
    }
    PyErr_NormalizeException(&type, &exc, &tb);
    if (tb != NULL) {
        (void)PyException_SetTraceback(exc, tb);
        Py_DECREF(tb);
    }
    Py_DECREF(type);
    return exc;
}

static inline void
PyErr_SetRaisedException(PyObject *exc) /* steals exc; NULL: none is raised */
{
    if (exc == NULL) {
        PyErr_Clear();
        return;
    }
    PyObject *type = Py_NewRef((PyObject *)Py_TYPE(exc));
    PyErr_Restore(type, exc, PyException_GetTraceback(exc));
}

#define FIO_MODULE_SLOT_INTERPRETERS
#else
#define FIO_MODULE_SLOT_INTERPRETERS \
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif

#if PY_VERSION_HEX < 0x030d0000
#define FIO_MODULE_SLOT_GIL
#else
/* base/hold.h has what takes the GIL's place. */
#define FIO_MODULE_SLOT_GIL {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif

#if PY_VERSION_HEX < 0x030d0000
/* 3.13: look-ups that hand out a new reference. 1 found, 0 not there, -1 exception set. */
static inline int
PyDict_GetItemRef(PyObject *dict, PyObject *key, PyObject **result)
{
    PyObject *item = PyDict_GetItemWithError(dict, key);
    *result = Py_XNewRef(item);
    if (item != NULL) {
        return 1;
    }
    return PyErr_Occurred() ? -1 : 0;
}

static inline int
PyDict_GetItemStringRef(PyObject *dict, const char *key, PyObject **result)
{
    *result = Py_XNewRef(PyDict_GetItemString(dict, key));
    return *result != NULL;
}

static inline int
PyObject_GetOptionalAttr(PyObject *obj, PyObject *name, PyObject **result)
{
    *result = PyObject_GetAttr(obj, name);
    if (*result != NULL) {
        return 1;
    }
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
        return -1;
    }
    PyErr_Clear();
    return 0;
}

static inline PyObject *
PyList_GetItemRef(PyObject *list, Py_ssize_t index)
{
    return Py_XNewRef(PyList_GetItem(list, index));
}

/* 3.13: exported. Before, nobody calls it. */
#define FIO_SETS_WAKEUP_FD 0
#define PySignal_SetWakeupFd(fd) ((void)(fd), -1)
#else
#define FIO_SETS_WAKEUP_FD 1
#endif

/* 3.13: locks an object where there is no GIL, and is a block elsewhere. */
#ifndef Py_BEGIN_CRITICAL_SECTION
#define Py_BEGIN_CRITICAL_SECTION(object) {
#define Py_END_CRITICAL_SECTION() }
#endif

#if defined(Py_GIL_DISABLED) && PY_VERSION_HEX < 0x030e0000
/* 3.14: a reference to an object that others may be taking the last one of. */
static inline void
PyUnstable_EnableTryIncRef(PyObject *object)
{
    Py_ssize_t shared = __atomic_load_n(&object->ob_ref_shared, __ATOMIC_RELAXED);
    while ((shared & _Py_REF_SHARED_FLAG_MASK) == 0
           && !__atomic_compare_exchange_n(&object->ob_ref_shared, &shared,
                                           shared | _Py_REF_MAYBE_WEAKREF, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_RELAXED)) {
    }
}

static inline int
PyUnstable_TryIncRef(PyObject *object)
{
    if (_Py_IsOwnedByCurrentThread(object)) {
        Py_INCREF(object);
        return 1;
    }
    Py_ssize_t shared = __atomic_load_n(&object->ob_ref_shared, __ATOMIC_RELAXED);
    while (shared != 0 && shared != _Py_REF_MERGED) {
        if (__atomic_compare_exchange_n(&object->ob_ref_shared, &shared,
                                        shared + (1 << _Py_REF_SHARED_SHIFT), false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
            return 1;
        }
    }
    return 0;
}

/* 3.14: objects that end inside of one another do not fill the stack; with a GIL ours never did. */
#define FIO_TRASHCAN_BEGIN(object, dealloc) \
    PyObject_GC_UnTrack(object);            \
    Py_TRASHCAN_BEGIN(object, dealloc)
#define FIO_TRASHCAN_END Py_TRASHCAN_END
#else
#define FIO_TRASHCAN_BEGIN(object, dealloc)
#define FIO_TRASHCAN_END
#endif

/* 3.15: a task that ends in another thread is hidden from the collector before the others are made
 * to stand still; before, a collection then ends it a second time. A debug build would refuse this.
 */
#if defined(Py_GIL_DISABLED) && !defined(Py_DEBUG) && PY_VERSION_HEX >= 0x030e0000 \
    && PY_VERSION_HEX < 0x030f0000
#define FIO_TASKS_END_TRACKED 1
#else
#define FIO_TASKS_END_TRACKED 0
#endif

/* 3.12: writelines() is a method of its own; before, what write() makes of b"".join(). */
#if PY_VERSION_HEX < 0x030c0000
#define FIO_WRITELINES_JOINS 1
#else
#define FIO_WRITELINES_JOINS 0
#endif

/* 3.15: writelines() leaves out what is false, of whatever type. */
#if PY_VERSION_HEX < 0x030f0000
#define FIO_WRITELINES_SKIPS_FALSE 0
#else
#define FIO_WRITELINES_SKIPS_FALSE 1
#endif

/* 3.13: asyncio's Server keeps a set of its transports, so _attach() and _detach() are given one.
 */
#if PY_VERSION_HEX < 0x030d0000
#define FIO_SERVER_COUNTS_TRANSPORTS 0
#else
#define FIO_SERVER_COUNTS_TRANSPORTS 1
#endif

/* Where asyncio keeps the current task of each loop: until 3.13 in a dict, since then behind a
 * function. */
#if PY_VERSION_HEX < 0x030e0000
#define FIO_CURRENT_TASKS_DICT 1
#define FIO_CURRENT_TASKS_NAME "_current_tasks"
#else
#define FIO_CURRENT_TASKS_DICT 0
#define FIO_CURRENT_TASKS_NAME "_swap_current_task"
#endif

/* 3.14: a task takes steps only where its loop is the running one, as none is in a forked child. */
#define FIO_TASKS_ASK_FOR_LOOP (PY_VERSION_HEX >= 0x030e0000)

/* 3.14: what call_soon_threadsafe() returns is of a class of its own, whose cancel() and
 * cancelled() wait where another thread is running the callback. */
#if PY_VERSION_HEX < 0x030e0000
#define FIO_THREADSAFE_HANDLES 0
#define FIO_THREADSAFE_HANDLE_NAME "Handle"
#else
#define FIO_THREADSAFE_HANDLES 1
#define FIO_THREADSAFE_HANDLE_NAME "_ThreadSafeHandle"
#endif

/* 3.13.12, 3.14.3: a result that comes in the loop's own thread is told at once, not a turn later.
 */
static inline bool
fio_compat_tells_at_once(void)
{
    return Py_Version >= 0x030e0300 || (Py_Version >= 0x030d0c00 && Py_Version < 0x030e0000);
}

/* 3.15: futures of executors tell all at once by _get_snapshot(). */
#if PY_VERSION_HEX < 0x030f0000
#define FIO_EXECUTOR_SNAPSHOTS 0
#else
#define FIO_EXECUTOR_SNAPSHOTS 1
#endif

/* 3.13: a datagram transport sends empty messages, and counts a header for each in its buffer. */
#if PY_VERSION_HEX < 0x030d0000
#define FIO_SENDS_EMPTY_DATAGRAMS 0
#define FIO_DATAGRAM_HEADER_SIZE 0
#else
#define FIO_SENDS_EMPTY_DATAGRAMS 1
#define FIO_DATAGRAM_HEADER_SIZE 8
#endif

/* 3.15: transports of sockets keep the context that all their calls are made in as `_context`, use
 * it in `_call_soon()` and `_add_writer()`, and count what waits to be sent as `_buffer_size`. */
#if PY_VERSION_HEX < 0x030f0000
#define FIO_TRANSPORTS_KEEP_CONTEXT 0
#else
#define FIO_TRANSPORTS_KEEP_CONTEXT 1
#endif

/* 1 where one thread at a time runs Python; 0: the free-threaded build, with its GIL or without. */
#ifdef Py_GIL_DISABLED
#define FIO_GIL 0
#else
#define FIO_GIL 1
#endif

/* What the module's state or a loop keeps for the next user (freelists, caches) has no lock. */
#define FIO_FREELISTS FIO_GIL

/* 3.12: a dict tells of its changes by calling those who watch it; before, by its version. */
#define FIO_DICT_WATCHERS (PY_VERSION_HEX >= 0x030C0000)

/* What fastaio's Python files ask: constants of fastaio._core.
 *
 * 3.12: FORKS_DROP_WAKEUP: asyncio sees to it that signals of a child ring no pipe of its parent's.
 *       SUBPROCESSES_END_WITH_LOOP: what watches a child is collected with the loop, and the child
 *       killed with its transport; before, a thread keeps both until the child has ended.
 *       SOCKETS_HAVE_ONE_TRANSPORT: a second one of the same socket is refused.
 * 3.13: FORMATS_BY_DEBUG: format_helpers' functions are told whether to show arguments.
 * 3.14: CURRENT_TASKS_SWAP: FIO_CURRENT_TASKS_DICT's opposite, with tasks._swap_current_task().
 *       RUNS_AWAITABLES: asyncio.run() takes what is no coroutine, too.
 *       LOOPS_WATCH_CHILDREN: child watchers are gone but for the `_watcher` of each loop.
 * 3.15: LOOPS_TAKE_STATUS: where a thread waits for a child, it leaves its status to the loop. */
#define FIO_COMPAT_FLAGS(X)                                     \
    X(FORKS_DROP_WAKEUP, PY_VERSION_HEX >= 0x030c0000)          \
    X(SUBPROCESSES_END_WITH_LOOP, PY_VERSION_HEX >= 0x030c0000) \
    X(SOCKETS_HAVE_ONE_TRANSPORT, PY_VERSION_HEX >= 0x030c0000) \
    X(FORMATS_BY_DEBUG, PY_VERSION_HEX >= 0x030d0000)           \
    X(CURRENT_TASKS_SWAP, !FIO_CURRENT_TASKS_DICT)              \
    X(RUNS_AWAITABLES, PY_VERSION_HEX >= 0x030e0000)            \
    X(LOOPS_WATCH_CHILDREN, PY_VERSION_HEX >= 0x030e0000)       \
    X(LOOPS_TAKE_STATUS, PY_VERSION_HEX >= 0x030f0000)

#endif
