#ifndef FIO_NET_PY_TRANSPORT_H
#define FIO_NET_PY_TRANSPORT_H

/* Python methods that the socket transport shares with the pipe transports. */

#include "net/py_transport_attrs.h"

PyObject *fio_transport_py_start(FioTransport *self, PyObject *waiter);
PyObject *fio_transport_py_call_connection_lost(FioTransport *self, PyObject *exc);
PyObject *fio_transport_py_fatal_error(FioTransport *self, PyObject *const *args, Py_ssize_t nargs,
                                       PyObject *kwnames);
PyObject *fio_transport_py_get_extra_info(FioTransport *self, PyObject *const *args,
                                          Py_ssize_t nargs, PyObject *kwnames);
PyObject *fio_transport_py_set_protocol(FioTransport *self, PyObject *const *args, Py_ssize_t nargs,
                                        PyObject *kwnames);
PyObject *fio_transport_py_get_protocol(FioTransport *self, PyObject *ignored);
PyObject *fio_transport_py_is_closing(FioTransport *self, PyObject *ignored);
PyObject *fio_transport_py_close(FioTransport *self, PyObject *ignored);
PyObject *fio_transport_py_abort(FioTransport *self, PyObject *ignored);
PyObject *fio_transport_py_force_close(FioTransport *self, PyObject *exc);

/* Reading (py_transport.c). */
PyObject *fio_transport_py_is_reading(FioTransport *self, PyObject *ignored);
PyObject *fio_transport_py_pause_reading(FioTransport *self, PyObject *ignored);
PyObject *fio_transport_py_resume_reading(FioTransport *self, PyObject *ignored);

/* Writing (py_transport_write.c). */
PyObject *fio_transport_py_write(FioTransport *self, PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *kwnames);
PyObject *fio_transport_py_writelines(FioTransport *self, PyObject *const *args, Py_ssize_t nargs,
                                      PyObject *kwnames);
PyObject *fio_transport_py_write_eof(FioTransport *self, PyObject *ignored);
PyObject *fio_transport_py_can_write_eof(FioTransport *self, PyObject *ignored);
PyObject *fio_transport_py_set_limits(FioTransport *self, PyObject *const *args, Py_ssize_t nargs,
                                      PyObject *kwnames);
PyObject *fio_transport_py_get_limits(FioTransport *self, PyObject *ignored);
PyObject *fio_transport_py_get_write_buffer_size(FioTransport *self, PyObject *ignored);
PyObject *fio_transport_py_make_empty_waiter(FioTransport *self, PyObject *ignored);
PyObject *fio_transport_py_make_end_waiter(FioTransport *self, PyObject *ignored);
PyObject *fio_transport_py_reset_empty_waiter(FioTransport *self, PyObject *ignored);

/* A method was called in a wrong way (base/args.h: fio_args_refuse). */
FIO_COLD PyObject *fio_transport_refuse(FioTransport *self, const char *method,
                                        PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
/* Those that take no arguments, as they stand in tables of methods (FIO_NO_ARGUMENTS). */
PyObject *fio_transport_py_get_protocol_call(FioTransport *self, PyObject *const *args,
                                             Py_ssize_t nargs, PyObject *kwnames);
PyObject *fio_transport_py_is_closing_call(FioTransport *self, PyObject *const *args,
                                           Py_ssize_t nargs, PyObject *kwnames);
PyObject *fio_transport_py_close_call(FioTransport *self, PyObject *const *args, Py_ssize_t nargs,
                                      PyObject *kwnames);
PyObject *fio_transport_py_abort_call(FioTransport *self, PyObject *const *args, Py_ssize_t nargs,
                                      PyObject *kwnames);
PyObject *fio_transport_py_is_reading_call(FioTransport *self, PyObject *const *args,
                                           Py_ssize_t nargs, PyObject *kwnames);
PyObject *fio_transport_py_pause_reading_call(FioTransport *self, PyObject *const *args,
                                              Py_ssize_t nargs, PyObject *kwnames);
PyObject *fio_transport_py_resume_reading_call(FioTransport *self, PyObject *const *args,
                                               Py_ssize_t nargs, PyObject *kwnames);
PyObject *fio_transport_py_can_write_eof_call(FioTransport *self, PyObject *const *args,
                                              Py_ssize_t nargs, PyObject *kwnames);
PyObject *fio_transport_py_get_limits_call(FioTransport *self, PyObject *const *args,
                                           Py_ssize_t nargs, PyObject *kwnames);
PyObject *fio_transport_py_get_write_buffer_size_call(FioTransport *self, PyObject *const *args,
                                                      Py_ssize_t nargs, PyObject *kwnames);
PyObject *fio_transport_py_write_eof_call(FioTransport *self, PyObject *const *args,
                                          Py_ssize_t nargs, PyObject *kwnames);

/* Queues one piece: bytes by reference, what may change as a copy. */
FIO_MUST_CHECK int fio_transport_queue(FioTransport *self, PyObject *data);
/* Parts of these, for sendto(). TypeError for what is not bytes, bytearray or memoryview, as the
 * method of that type of asyncio.selector_events raises it: -1. */
FIO_MUST_CHECK int fio_transport_check_data(FioTransport *self, PyObject *data, const char *type,
                                            const char *method);
/* Python's `not data`: 1 or 0, or -1 where that raises. */
FIO_MUST_CHECK int fio_transport_data_is_empty(PyObject *data);
/* A write to a lost connection: silent at first, asyncio's warning later. */
FIO_MUST_CHECK int fio_transport_count_lost_write(FioTransport *self);

PyObject *fio_transport_repr(FioTransport *self);

/* Rows of their method tables. */
#define FIO_TRANSPORT_COMMON_METHODS                                                               \
    {"_start", FIO_METHOD(fio_transport_py_start), METH_O, NULL},                                  \
        {"_call_connection_lost", FIO_METHOD(fio_transport_py_call_connection_lost), METH_O,       \
         NULL},                                                                                    \
        {"_fatal_error", FIO_METHOD(fio_transport_py_fatal_error), METH_FASTCALL | METH_KEYWORDS,  \
         NULL},                                                                                    \
        {"get_extra_info", FIO_METHOD(fio_transport_py_get_extra_info),                            \
         METH_FASTCALL | METH_KEYWORDS,                                                            \
         PyDoc_STR("get_extra_info($self, name, default=None)\n--\n\n"                             \
                   "What is known of the connection, as asyncio.BaseTransport.")},                 \
        {"set_protocol", FIO_METHOD(fio_transport_py_set_protocol), METH_FASTCALL | METH_KEYWORDS, \
         PyDoc_STR(                                                                                \
             "set_protocol($self, protocol)\n--\n\nSets the protocol that is called from now "     \
             "on.")},                                                                              \
        {"get_protocol", FIO_METHOD(fio_transport_py_get_protocol_call),                           \
         METH_FASTCALL | METH_KEYWORDS,                                                            \
         PyDoc_STR(                                                                                \
             "get_protocol($self, /)\n--\n\nThe protocol; None once the connection is lost.")},    \
        {"is_closing", FIO_METHOD(fio_transport_py_is_closing_call),                               \
         METH_FASTCALL | METH_KEYWORDS,                                                            \
         PyDoc_STR("is_closing($self, /)\n--\n\nTrue when closed or closing.")},                   \
    {                                                                                              \
        "close", FIO_METHOD(fio_transport_py_close_call), METH_FASTCALL | METH_KEYWORDS,           \
            PyDoc_STR(                                                                             \
                "close($self, /)\n--\n\nCloses once all output is out; no more data is received.") \
    }

#define FIO_TRANSPORT_READ_METHODS                                                              \
    {"is_reading", FIO_METHOD(fio_transport_py_is_reading_call), METH_FASTCALL | METH_KEYWORDS, \
     PyDoc_STR("is_reading($self, /)\n--\n\nTrue unless paused or closing.")},                  \
        {"pause_reading", FIO_METHOD(fio_transport_py_pause_reading_call),                      \
         METH_FASTCALL | METH_KEYWORDS,                                                         \
         PyDoc_STR(                                                                             \
             "pause_reading($self, /)\n--\n\nStops data_received() until resume_reading().")},  \
    {                                                                                           \
        "resume_reading", FIO_METHOD(fio_transport_py_resume_reading_call),                     \
            METH_FASTCALL | METH_KEYWORDS,                                                      \
            PyDoc_STR("resume_reading($self, /)\n--\n\nLets data_received() be called again.")  \
    }

#define FIO_TRANSPORT_WRITE_METHODS                                                            \
    {"write", FIO_METHOD(fio_transport_py_write), METH_FASTCALL | METH_KEYWORDS,               \
     PyDoc_STR(                                                                                \
         "write($self, data)\n--\n\nSends bytes, bytearray or memoryview; never blocks. What " \
         "is written in one turn of the loop leaves in one piece.")},                          \
        {"writelines", FIO_METHOD(fio_transport_py_writelines), METH_FASTCALL | METH_KEYWORDS, \
         PyDoc_STR(                                                                            \
             "writelines($self, list_of_data)\n--\n\nSends all of them by one system call.")}, \
    {                                                                                          \
        "can_write_eof", FIO_METHOD(fio_transport_py_can_write_eof_call),                      \
            METH_FASTCALL | METH_KEYWORDS, PyDoc_STR("can_write_eof($self, /)\n--\n\nTrue.")   \
    }

#define FIO_TRANSPORT_LIMIT_METHODS                                                               \
    {"abort", FIO_METHOD(fio_transport_py_abort_call), METH_FASTCALL | METH_KEYWORDS,             \
     PyDoc_STR("abort($self, /)\n--\n\nCloses now, dropping unsent output.")},                    \
        {"set_write_buffer_limits", FIO_METHOD(fio_transport_py_set_limits),                      \
         METH_FASTCALL | METH_KEYWORDS,                                                           \
         PyDoc_STR("set_write_buffer_limits($self, high=None, low=None)\n--\n\n"                  \
                   "Bytes of unsent output above which the protocol is paused and down to which " \
                   "it is resumed; 65536 and a quarter of high by default.")},                    \
        {"get_write_buffer_limits", FIO_METHOD(fio_transport_py_get_limits_call),                 \
         METH_FASTCALL | METH_KEYWORDS,                                                           \
         PyDoc_STR("get_write_buffer_limits($self, /)\n--\n\n(low, high), in bytes.")},           \
        {"get_write_buffer_size", FIO_METHOD(fio_transport_py_get_write_buffer_size_call),        \
         METH_FASTCALL | METH_KEYWORDS,                                                           \
         PyDoc_STR(                                                                               \
             "get_write_buffer_size($self, /)\n--\n\nBytes that the kernel has not taken yet.")}, \
    {                                                                                             \
        "_force_close", FIO_METHOD(fio_transport_py_force_close), METH_O, NULL                    \
    }

/* Attributes that asyncio's own code and libraries read. */
PyObject *fio_transport_get_extra(FioTransport *self, void *closure);
PyObject *fio_transport_get_loop(FioTransport *self, void *closure);
PyObject *fio_transport_get_protocol(FioTransport *self, void *closure);
PyObject *fio_transport_get_paused(FioTransport *self, void *closure);
PyObject *fio_transport_get_closing(FioTransport *self, void *closure);
PyObject *fio_transport_get_protocol_paused(FioTransport *self, void *closure);
PyObject *fio_transport_get_conn_lost(FioTransport *self, void *closure);
PyObject *fio_transport_get_high_water(FioTransport *self, void *closure);
PyObject *fio_transport_get_low_water(FioTransport *self, void *closure);
int fio_transport_set_extra(FioTransport *self, PyObject *value, void *closure);

PyObject *fio_transport_get_sock(FioTransport *self, void *closure);
int fio_transport_assign_protocol(FioTransport *self, PyObject *value, void *closure);
PyObject *fio_transport_get_fd(FioTransport *self, void *closure);
PyObject *fio_transport_get_server(FioTransport *self, void *closure);
int fio_transport_set_high_water(FioTransport *self, PyObject *value, void *closure);
int fio_transport_set_low_water(FioTransport *self, PyObject *value, void *closure);

/* Rows of their attribute tables. */
#define FIO_TRANSPORT_SOCKET_GETTERS                                                    \
    FIO_TRANSPORT_CONTEXT                                                               \
    FIO_TRANSPORT_ATTRIBUTE("_sock", fio_transport_get_sock, fio_transport_set_sock),   \
        FIO_TRANSPORT_ATTRIBUTE("_sock_fd", fio_transport_get_fd, fio_transport_store), \
        FIO_TRANSPORT_ATTRIBUTE("_server", fio_transport_get_server, fio_transport_set_server)

#define FIO_TRANSPORT_COMMON_GETTERS                                                          \
    FIO_TRANSPORT_SLOT("_extra", fio_transport_get_extra, fio_transport_set_extra),           \
        FIO_TRANSPORT_SLOT("_loop", fio_transport_get_loop, fio_transport_store),             \
        FIO_TRANSPORT_ATTRIBUTE("_protocol", fio_transport_get_protocol,                      \
                                fio_transport_assign_protocol),                               \
        FIO_TRANSPORT_FLAG("_closing", fio_transport_get_closing, fio_transport_set_closing), \
    {                                                                                         \
        "__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL              \
    }

#define FIO_TRANSPORT_READ_GETTERS \
    FIO_TRANSPORT_FLAG("_paused", fio_transport_get_paused, fio_transport_set_paused)

#define FIO_TRANSPORT_WRITE_GETTERS                                                      \
    FIO_TRANSPORT_ROW("_protocol_paused", fio_transport_get_protocol_paused,             \
                      fio_transport_set_protocol_paused, FIO_ATTR_FLAG | FIO_ATTR_SLOT), \
        FIO_TRANSPORT_ATTRIBUTE("_conn_lost", fio_transport_get_conn_lost,               \
                                fio_transport_set_conn_lost),                            \
        FIO_TRANSPORT_SLOT("_high_water", fio_transport_get_high_water,                  \
                           fio_transport_set_high_water),                                \
        FIO_TRANSPORT_SLOT("_low_water", fio_transport_get_low_water, fio_transport_set_low_water)

#endif
