/* Counters of a server, and the call of its access log. */

#include "server/access.h"

#include "server/request.h"
#include "server/server.h"

void
fio_access_renew(fio_access *access)
{
    access->enabled = false;
    if (access->log == NULL) {
        return;
    }
    PyObject *enabled = PyObject_GetAttrString(access->log, "enabled");
    if (enabled == NULL) {
        PyErr_Clear(); /* a plain function: there to be called */
        access->enabled = true;
        return;
    }
    int is_enabled = PyObject_IsTrue(enabled);
    Py_DECREF(enabled);
    if (is_enabled < 0) {
        PyErr_WriteUnraisable(access->log);
    }
    access->enabled = is_enabled > 0;
}

int
fio_access_count(fio_access *access, struct FioRequest *request, PyObject *response, int status,
                 int64_t began)
{
    access->requests++;
    access->by_class[status >= 100 && status < 600 ? status / 100 : 0]++;
    if (FIO_LIKELY(!access->enabled) || request == NULL) {
        return 0;
    }
    const double seconds = began == 0 ? 0.0 : (double)(fio_loop_now() - began) * 1e-9;
    PyObject *duration = PyFloat_FromDouble(seconds);
    PyObject *answer = response == NULL ? PyLong_FromLong(status) : Py_NewRef(response);
    if (duration == NULL || answer == NULL) {
        Py_XDECREF(duration);
        Py_XDECREF(answer);
        return -1;
    }
    PyObject *args[] = {NULL, (PyObject *)request, answer, duration};
    PyObject *done = PyObject_Vectorcall(access->log, args + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                         NULL);
    Py_DECREF(duration);
    Py_DECREF(answer);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

PyObject *
fio_access_counters(const fio_access *access)
{
    return Py_BuildValue(
        "{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "connections",
        (unsigned long long)access->connections, "requests", (unsigned long long)access->requests,
        "refused", (unsigned long long)access->refused, "unanswered",
        (unsigned long long)access->by_class[0], "1xx", (unsigned long long)access->by_class[1],
        "2xx", (unsigned long long)access->by_class[2], "3xx",
        (unsigned long long)access->by_class[3], "4xx", (unsigned long long)access->by_class[4],
        "5xx", (unsigned long long)access->by_class[5]);
}
