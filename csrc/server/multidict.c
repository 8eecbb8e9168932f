/* Multidicts. The package's C API is a capsule whose struct only ever grows at its end
 * (https://multidict.aio-libs.org, "C API"). */

#include "server/multidict.h"

/* The beginning of the capsule's struct; the functions that are not called have no type here. */
typedef struct fio_multidict_api {
    int version;
    void *state;
    void (*unused_istr[2])(void);
    void (*unused_version)(void);
    PyTypeObject *(*get_type[4])(void *state); /* MultiDict, CIMultiDict, their proxies */
    PyObject *(*new_dict[2])(void *state, Py_ssize_t size);
    PyObject *(*new_proxy[2])(void *state, PyObject *dict);
    void (*unused_size)(void);
    void (*unused_contains)(void);
    void (*unused_get_item)(void);
    int (*add)(void *state, PyObject *dict, PyObject *key, PyObject *value);
} fio_multidict_api;

#define CAPSULE_NAME "multidict._multidict.CAPI"

/* What is kept where the package has no such API. */
static const fio_multidict_api no_api = {0};

/* multidict.MultiDict is the type that the API makes, not the one in pure Python. */
static bool
makes_public_types(fio_state *st, const fio_multidict_api *api)
{
    PyObject *public_type = fio_lazy_md_MultiDict(st);
    PyTypeObject *made = public_type == NULL ? NULL : api->get_type[FIO_MULTIDICT](api->state);
    bool same = made != NULL && (PyObject *)made == public_type;
    Py_XDECREF(made);
    return same;
}

static const fio_multidict_api *
find_api(fio_state *st)
{
    PyObject *capsule = fio_lazy_md_capsule(st); /* kept, so that what is in it lives */
    const fio_multidict_api *api = capsule == NULL ? NULL
                                                   : PyCapsule_GetPointer(capsule, CAPSULE_NAME);
    if (api == NULL || api->version < 1 || !makes_public_types(st, api)) {
        PyErr_Clear();
        api = &no_api;
    }
    __atomic_store_n(&st->multidict_api, api, __ATOMIC_RELEASE);
    return api;
}

/* NULL where there is none. */
static const fio_multidict_api *
api_of(fio_state *st)
{
    const fio_multidict_api *api = __atomic_load_n(&st->multidict_api, __ATOMIC_ACQUIRE);
    if (FIO_UNLIKELY(api == NULL)) {
        api = find_api(st);
    }
    return api == &no_api ? NULL : api;
}

PyObject *
fio_multidict_new(fio_state *st, fio_multidict_kind kind, Py_ssize_t size)
{
    const fio_multidict_api *api = api_of(st);
    if (FIO_LIKELY(api != NULL)) {
        return api->new_dict[kind](api->state, size);
    }
    PyObject *type = kind == FIO_MULTIDICT ? fio_lazy_md_MultiDict(st)
                                           : fio_lazy_md_CIMultiDict(st);
    return type == NULL ? NULL : PyObject_CallNoArgs(type);
}

int
fio_multidict_add(fio_state *st, PyObject *dict, FIO_STEALS PyObject *key,
                  FIO_STEALS PyObject *value)
{
    int status = -1;
    if (key != NULL && value != NULL) {
        const fio_multidict_api *api = api_of(st);
        if (FIO_LIKELY(api != NULL)) {
            status = api->add(api->state, dict, key, value);
        }
        else {
            PyObject *none = PyObject_CallMethodObjArgs(dict, st->str_add, key, value, NULL);
            status = none == NULL ? -1 : 0;
            Py_XDECREF(none);
        }
    }
    Py_XDECREF(key);
    Py_XDECREF(value);
    return status;
}

PyObject *
fio_multidict_proxy(fio_state *st, fio_multidict_kind kind, FIO_STEALS PyObject *dict)
{
    if (dict == NULL) {
        return NULL;
    }
    PyObject *proxy = NULL;
    const fio_multidict_api *api = api_of(st);
    if (FIO_LIKELY(api != NULL)) {
        proxy = api->new_proxy[kind](api->state, dict);
    }
    else {
        PyObject *type = kind == FIO_MULTIDICT ? fio_lazy_md_MultiDictProxy(st)
                                               : fio_lazy_md_CIMultiDictProxy(st);
        proxy = type == NULL ? NULL : PyObject_CallOneArg(type, dict);
    }
    Py_DECREF(dict);
    return proxy;
}
