/* _core.Route, what a matched path leads to, and _core.MatchInfo, the path's variables as
 * request.match_info shows them. */

#include "base/args.h"
#include "server/path.h"
#include "server/router.h"

static PyObject *
route_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const params[] = {"handler",    "info",    "app", "names",
                                         "match_info", "signals", NULL};
    static const fio_params spec = {"Route", params, 6, 1};
    fio_state *st = fio_state_of_type(type);
    PyObject *values[] = {NULL, Py_None, Py_None, NULL, Py_None, Py_False};
    if (fio_args_parse_tuple(&spec, args, kwargs, values) < 0) {
        return NULL;
    }
    if (values[4] == Py_None) {
        values[4] = (PyObject *)st->MatchInfoType;
    }
    if (!PyType_Check(values[4])
        || !PyType_IsSubtype((PyTypeObject *)values[4], st->MatchInfoType)) {
        PyErr_Format(PyExc_TypeError, "match_info must be a subclass of MatchInfo, not %R",
                     values[4]);
        return NULL;
    }
    int signals = PyObject_IsTrue(values[5]);
    PyObject *names = values[3] == NULL ? PyTuple_New(0) : PySequence_Tuple(values[3]);
    FioRoute *self = signals < 0 || names == NULL ? NULL : (FioRoute *)type->tp_alloc(type, 0);
    if (self == NULL) {
        Py_XDECREF(names);
        return NULL;
    }
    self->handler = Py_NewRef(values[0]);
    self->info = Py_NewRef(values[1]);
    self->app = Py_NewRef(values[2]);
    self->names = names;
    self->match_info = Py_NewRef(values[4]);
    self->signals = signals;
    return (PyObject *)self;
}

static int
route_traverse(FioRoute *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->handler);
    Py_VISIT(self->info);
    Py_VISIT(self->app);
    Py_VISIT(self->names);
    Py_VISIT(self->match_info);
    return 0;
}

static int
route_clear(FioRoute *self)
{
    Py_CLEAR(self->handler);
    Py_CLEAR(self->info);
    Py_CLEAR(self->app);
    Py_CLEAR(self->names);
    Py_CLEAR(self->match_info);
    return 0;
}

static void
route_dealloc(FioRoute *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)route_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef route_members[] = {
    {"handler", T_OBJECT, offsetof(FioRoute, handler), READONLY,
     "What is called with the request."},
    {"info", T_OBJECT, offsetof(FioRoute, info), READONLY, "What the match shows as its route."},
    {"app", T_OBJECT, offsetof(FioRoute, app), READONLY, "What request.app is."},
    {"names", T_OBJECT, offsetof(FioRoute, names), READONLY,
     "The names of the path's variables, in its order."},
    {"signals", T_BOOL, offsetof(FioRoute, signals), 0,
     "True: on_response_prepare has receivers, so responses are finished by their coroutine."},
    {NULL},
};

PyDoc_STRVAR(route_doc,
             "Route(handler, info=None, app=None, names=(), match_info=None, signals=False)\n"
             "--\n\nWhat a request is handled by: handler(request) gives a response or an "
             "awaitable of one. match_info: the class of request.match_info, None: MatchInfo.");

static PyType_Slot route_slots[] = {
    {Py_tp_doc, FIO_UNCONST(route_doc)},
    {Py_tp_new, route_new},
    {Py_tp_dealloc, route_dealloc},
    {Py_tp_clear, route_clear},
    {Py_tp_traverse, route_traverse},
    {Py_tp_members, route_members},
    {0, NULL},
};

static PyType_Spec route_spec = {
    .name = "fastaio._core.Route",
    .basicsize = sizeof(FioRoute),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = route_slots,
};

/* -- MatchInfo: a dict with a route ---------------------------------------------------------------
 */

typedef struct {
    PyDictObject dict;
    PyObject *route; /* owned: FioRoute.info */
} FioMatchInfo;

static int
match_info_traverse(FioMatchInfo *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->route);
    return PyDict_Type.tp_traverse((PyObject *)self, visit, arg);
}

static int
match_info_clear(FioMatchInfo *self)
{
    Py_CLEAR(self->route);
    return PyDict_Type.tp_clear((PyObject *)self);
}

static void
match_info_dealloc(FioMatchInfo *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->route);
    /* dict's own deallocator ends in tp_free, but leaves the reference to a heap type. */
    PyDict_Type.tp_dealloc((PyObject *)self);
    Py_DECREF(type);
}

static int
match_info_init(FioMatchInfo *self, PyObject *args, PyObject *kwargs)
{
    static const char *const params[] = {"values", "route", NULL};
    static const fio_params spec = {"MatchInfo", params, 2, 1};
    PyObject *values[] = {NULL, Py_None};
    if (fio_args_parse_tuple(&spec, args, kwargs, values) < 0
        || PyDict_Update((PyObject *)self, values[0]) < 0) {
        return -1;
    }
    Py_XSETREF(self->route, Py_NewRef(values[1]));
    return 0;
}

/* dict's own, under a name of this type: a Python subclass would reach dict's only through a
 * look-up and a call of __getitem__. */
static PyObject *
match_info_subscript(PyObject *self, PyObject *key)
{
    return PyDict_Type.tp_as_mapping->mp_subscript(self, key);
}

static PyMemberDef match_info_members[] = {
    {"route", T_OBJECT, offsetof(FioMatchInfo, route), READONLY,
     "The info of the Route that matched, or None."},
    {NULL},
};

PyDoc_STRVAR(match_info_doc, "MatchInfo(values, route=None)\n--\n\n"
                             "The variables of a matched path, decoded, and its route.");

static PyType_Slot match_info_slots[] = {
    {Py_tp_doc, FIO_UNCONST(match_info_doc)}, {Py_tp_init, match_info_init},
    {Py_tp_dealloc, match_info_dealloc},      {Py_tp_clear, match_info_clear},
    {Py_tp_traverse, match_info_traverse},    {Py_tp_members, match_info_members},
    {Py_mp_subscript, match_info_subscript},  {0, NULL},
};

static PyType_Spec match_info_spec = {
    .name = "fastaio._core.MatchInfo",
    .basicsize = sizeof(FioMatchInfo),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = match_info_slots,
};

static int
match_info_fill(PyObject *self, const fio_match *match, const char *base)
{
    if (match->decoded != NULL) {
        return PyDict_Update(self, match->decoded);
    }
    for (size_t i = 0; i < match->count; i++) {
        PyObject *name = PyTuple_GET_ITEM(match->route->names, (Py_ssize_t)i);
        PyObject *value = fio_path_to_str(fio_span_view(base, match->values[i]));
        int status = value == NULL ? -1 : PyDict_SetItem(self, name, value);
        Py_XDECREF(value);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

PyObject *
fio_match_info_new(fio_state *st, const fio_match *match, const char *base)
{
    PyTypeObject *type = st->MatchInfoType;
    if (match->route != NULL) {
        type = (PyTypeObject *)match->route->match_info;
    }
    PyObject *no_args = PyTuple_New(0); /* a singleton of the interpreter */
    PyObject *self = no_args == NULL ? NULL : type->tp_new(type, no_args, NULL);
    Py_XDECREF(no_args);
    if (self == NULL) {
        return NULL;
    }
    PyObject *route = match->route == NULL ? Py_None : match->route->info;
    Py_XSETREF(((FioMatchInfo *)self)->route, Py_NewRef(route));
    if (match->route != NULL && match_info_fill(self, match, base) < 0) {
        Py_CLEAR(self);
    }
    return self;
}

int
fio_route_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    PyObject *base = (PyObject *)&PyDict_Type;
    if (fio_state_add_type(module, &st->MatchInfoType, &match_info_spec, base) < 0) {
        return -1;
    }
    return fio_state_add_type(module, &st->RouteType, &route_spec, NULL);
}
