/* _core.Folder, the handler of a folder of static files (StaticResource of aiohttp). It answers for
 * regular files that no symbolic link leads to, or any file where links may be followed; all else
 * (folders, missing files, links, odd paths) it leaves to a handler in Python. */

#include "base/args.h"
#include "http/url.h"
#include "server/request_parts.h"
#include "server/response_parts.h"

#include <errno.h>
#include <limits.h>

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    fio_state *st;
    PyObject *directory; /* owned bytes: absolute, resolved, without a "/" at its end */
    PyObject *response;  /* owned: FileResponse or a subtype */
    PyObject *fallback;  /* owned: fallback(request) for what is not answered here */
    bool follow;
} FioFolder;

/* A path of plain segments: no "." or "..", no empty one, no NUL. */
static bool
is_plain_path(const char *path, size_t size)
{
    const char *end = path + size;
    if (size == 0 || memchr(path, '\0', size) != NULL) {
        return false;
    }
    for (const char *at = path; at <= end;) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t segment = (size_t)((slash == NULL ? end : slash) - at);
        if (segment == 0 || (segment == 1 && at[0] == '.')
            || (segment == 2 && at[0] == '.' && at[1] == '.')) {
            return false;
        }
        at += segment + 1;
    }
    return true;
}

/* directory + "/" + the file's name, with NUL: its size, 0 when it is not for us. */
static size_t
folder_path(const FioFolder *self, const FioRequest *request, char path[PATH_MAX])
{
    const fio_match *match = &request->match;
    if (match->count != 1) {
        return 0; /* decoded by the router: has escapes, or was set by Python */
    }
    fio_view name = fio_span_view(request->base, match->values[0]);
    fio_view directory = fio_body_view(self->directory);
    if (directory.size + 1 + name.size + 1 > PATH_MAX || !is_plain_path(name.base, name.size)
        || !fio_percent_is_plain(name, FIO_DECODE_PATH)) {
        return 0;
    }
    memcpy(path, directory.base, directory.size);
    path[directory.size] = '/';
    memcpy(path + directory.size + 1, name.base, name.size);
    path[directory.size + 1 + name.size] = '\0';
    return directory.size + 1 + name.size;
}

static PyObject *
folder_respond(const FioFolder *self, const char *path, size_t size, fio_file *file)
{
    FioResponse *response = fio_response_alloc(self->st, (PyTypeObject *)self->response);
    PyObject *body = response == NULL ? NULL : PyBytes_FromStringAndSize(path, (Py_ssize_t)size);
    if (body == NULL) {
        Py_XDECREF(response);
        fio_file_release(file);
        return NULL;
    }
    response->is_file = true;
    response->no_links = !self->follow;
    response->body = body;
    response->file = file;
    return (PyObject *)response;
}

static PyObject *
folder_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    FioFolder *self = (FioFolder *)callable;
    if (PyVectorcall_NARGS(nargsf) != 1 || kwnames != NULL
        || !PyObject_TypeCheck(args[0], self->st->RequestType)) {
        PyErr_SetString(PyExc_TypeError, "a Folder takes one argument, a Request");
        return NULL;
    }
    FIO_HOLD_MONITOR((FioRequest *)args[0]);
    char path[PATH_MAX];
    size_t size = folder_path(self, (FioRequest *)args[0], path);
    fio_file *file = NULL;
    if (size > 0) {
        fio_file_links links = self->follow ? FIO_FILE_ANY_LINKS : FIO_FILE_NO_LINKS;
        int status = fio_file_lookup(self->st, path, size, links, &file);
        if (status < 0) {
            return NULL;
        }
    }
    return file == NULL ? PyObject_CallOneArg(self->fallback, args[0])
                        : folder_respond(self, path, size, file);
}

static PyObject *
folder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const params[] = {"directory", "fallback", "file_response",
                                         "follow_symlinks", NULL};
    static const fio_params spec = {"Folder", params, 4, 2};
    fio_state *st = fio_state_of_type(type);
    PyObject *values[] = {NULL, NULL, Py_None, Py_False};
    if (fio_args_parse_tuple(&spec, args, kwargs, values) < 0) {
        return NULL;
    }
    int follow = PyObject_IsTrue(values[3]);
    PyObject *directory = NULL;
    if (follow < 0 || PyUnicode_FSConverter(values[0], &directory) == 0) {
        return NULL;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(directory);
    const char *text = PyBytes_AS_STRING(directory);
    if (size < 2 || text[0] != '/' || text[size - 1] == '/') {
        PyErr_Format(PyExc_ValueError,
                     "directory must be an absolute path without a slash at its end, got %R",
                     values[0]);
        Py_DECREF(directory);
        return NULL;
    }
    if (values[2] == Py_None) {
        values[2] = (PyObject *)st->FileResponseType;
    }
    if (!PyType_Check(values[2])
        || !PyType_IsSubtype((PyTypeObject *)values[2], st->FileResponseType)) {
        PyErr_Format(PyExc_TypeError, "file_response must be a subclass of FileResponse, not %R",
                     values[2]);
        Py_DECREF(directory);
        return NULL;
    }
    FioFolder *self = (FioFolder *)type->tp_alloc(type, 0);
    if (self == NULL) {
        Py_DECREF(directory);
        return NULL;
    }
    self->vectorcall = folder_call;
    self->st = st;
    self->directory = directory;
    self->fallback = Py_NewRef(values[1]);
    self->response = Py_NewRef(values[2]);
    self->follow = follow;
    return (PyObject *)self;
}

static int
folder_traverse(FioFolder *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->response);
    Py_VISIT(self->fallback);
    return 0;
}

static int
folder_clear(FioFolder *self)
{
    Py_CLEAR(self->response);
    Py_CLEAR(self->fallback);
    return 0;
}

static void
folder_dealloc(FioFolder *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    (void)folder_clear(self);
    Py_CLEAR(self->directory);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef folder_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(FioFolder, vectorcall), READONLY, NULL},
    {NULL},
};

PyDoc_STRVAR(folder_doc,
             "Folder(directory, fallback, file_response=None, follow_symlinks=False)\n"
             "--\n\nA handler of a route made by Router.add_prefix(): FileResponse for a regular "
             "file below directory (absolute and resolved), fallback(request) for all else. "
             "file_response: a subclass of FileResponse to use.");

static PyType_Slot folder_slots[] = {
    {Py_tp_doc, FIO_UNCONST(folder_doc)}, {Py_tp_new, folder_new},
    {Py_tp_dealloc, folder_dealloc},      {Py_tp_traverse, folder_traverse},
    {Py_tp_clear, folder_clear},          {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, folder_members},      {0, NULL},
};

static PyType_Spec folder_spec = {
    .name = "fastaio._core.Folder",
    .basicsize = sizeof(FioFolder),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = folder_slots,
};

int
fio_folder_setup_types(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    return fio_state_add_type(module, &st->FolderType, &folder_spec, NULL);
}
