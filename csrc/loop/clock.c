/* time.monotonic() replaced: freezegun and others put their own function into the time module, also
 * in the middle of a run; or another module into asyncio.base_events. A dict tells when it is
 * changed: up to Python 3.11 by its version, from 3.12 on by calling whoever watches it. So nothing
 * is looked up as long as nobody does. */

#include "loop/clock.h"

#include <string.h>

#if FIO_DICT_WATCHERS

/* The module's state, for a callback that is given nothing: borrowed, NULL if there is none. */
static fio_state *
clock_state(void)
{
    PyObject *name = PyUnicode_FromString("fastaio._core");
    PyObject *module = name == NULL ? NULL : PyImport_GetModule(name);
    Py_XDECREF(name);
    bool ours = module != NULL && PyModule_Check(module) && PyModule_GetDef(module) == &fio_module;
    fio_state *st = ours ? PyModule_GetState(module) : NULL;
    Py_XDECREF(module); /* the caller runs nothing that could end it */
    return st;
}

static int
clock_on_change(PyDict_WatchEvent Py_UNUSED(event), PyObject *Py_UNUSED(names), PyObject *key,
                PyObject *Py_UNUSED(value))
{
    bool other = key != NULL && PyUnicode_Check(key)
                 && PyUnicode_CompareWithASCIIString(key, "monotonic") != 0
                 && PyUnicode_CompareWithASCIIString(key, "time") != 0;
    if (!other) {
        PyObject *raised = PyErr_GetRaisedException(); /* by whom the dict is changed for */
        fio_state *st = clock_state();
        if (st != NULL) {
            atomic_store(&st->clock_touched, true);
        }
        PyErr_SetRaisedException(raised);
    }
    return 0;
}

static void
clock_watch(fio_state *st)
{
    st->clock_watcher = PyDict_AddWatcher(clock_on_change);
    if (st->clock_watcher < 0 || PyDict_Watch(st->clock_watcher, st->clock_names) < 0
        || PyDict_Watch(st->clock_watcher, st->clock_user_names) < 0) {
        PyErr_Clear();
    }
}

void
fio_clock_end(fio_state *st)
{
    if (st->clock_user_names != NULL && st->clock_watcher >= 0) {
        if (PyDict_Unwatch(st->clock_watcher, st->clock_names) < 0
            || PyDict_Unwatch(st->clock_watcher, st->clock_user_names) < 0
            || PyDict_ClearWatcher(st->clock_watcher) < 0) {
            PyErr_Clear();
        }
        st->clock_watcher = -1;
    }
}

static void
clock_settle(fio_state *st, bool touched)
{
    /* Where eight others watch dicts already, it is looked each time. */
    atomic_store(&st->clock_touched, touched || st->clock_watcher < 0);
}

#else

static void
clock_watch(fio_state *Py_UNUSED(st))
{
}

void
fio_clock_end(fio_state *Py_UNUSED(st))
{
}

static void
clock_settle(fio_state *st, bool touched)
{
    st->clock_version = touched ? 0 : ((PyDictObject *)st->clock_names)->ma_version_tag;
    st->clock_user_version = ((PyDictObject *)st->clock_user_names)->ma_version_tag;
}

#endif

int
fio_clock_setup(fio_state *st)
{
    st->clock_module = PyImport_ImportModule("time");
    PyObject *user = PyImport_ImportModule("asyncio.base_events");
    if (st->clock_module != NULL && user != NULL) {
        st->clock_names = Py_XNewRef(PyModule_GetDict(st->clock_module));
        st->clock_user_names = Py_XNewRef(PyModule_GetDict(user));
    }
    Py_XDECREF(user);
    if (st->clock_names == NULL || st->clock_user_names == NULL) {
        return -1;
    }
    clock_settle(st, true);
    clock_watch(st);
    return 0;
}

static bool
clock_is_foreign(fio_state *st)
{
    PyObject *now = NULL;
    PyObject *module = NULL;
    bool ours = PyDict_GetItemRef(st->clock_names, st->str_monotonic, &now) > 0
                && PyCFunction_Check(now)
                && strcmp(((PyCFunctionObject *)now)->m_ml->ml_name, "monotonic") == 0
                && PyDict_GetItemRef(st->clock_user_names, st->str_time, &module) > 0
                && module == st->clock_module;
    Py_XDECREF(module);
    Py_XDECREF(now);
    PyErr_Clear();
    return !ours;
}

bool
fio_clock_look(fio_state *st)
{
    /* Without a GIL other threads ask meanwhile: they must not find it settled before it is. */
    bool foreign = !FIO_GIL && clock_is_foreign(st);
    if (!foreign) {
        clock_settle(st, false);
        foreign = clock_is_foreign(st);
    }
    if (foreign) {
        clock_settle(st, true);
    }
    return foreign;
}
