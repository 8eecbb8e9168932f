/* fastaio._core: the one extension module. Each room sets up its own types; this file only says in
 * which order. */

#include "base/addr.h"
#include "base/aio.h"
#include "base/context.h"
#include "base/gc.h"
#include "http/py_http.h"
#include "loop/clock.h"
#include "loop/loop.h"
#include "net/link.h"
#include "net/listener.h"
#include "net/pipe.h"
#include "net/tls.h"
#include "net/transport.h"
#include "net/udp.h"
#include "server/conn.h"
#include "server/handler_task.h"
#include "server/request.h"
#include "server/response.h"
#include "server/router.h"
#include "server/server.h"
#include "server/steps.h"

typedef int (*module_setup)(PyObject *module);

/* In order: a type stands behind those it is derived from. */
static const module_setup module_setups[] = {
    fio_addr_setup_functions,     /* base */
    fio_aio_setup_types,          /* base */
    fio_loop_setup_types,         /* loop */
    fio_http_setup_types,         /* http */
    fio_link_setup_types,         /* net */
    fio_transport_setup_types,    /* net */
    fio_listener_setup_types,     /* net */
    fio_tls_setup_types,          /* net */
    fio_pipe_setup_types,         /* net */
    fio_datagram_setup_types,     /* net */
    fio_route_setup_types,        /* server */
    fio_router_setup_types,       /* server */
    fio_request_setup_types,      /* server */
    fio_response_setup_types,     /* server */
    fio_server_setup_types,       /* server */
    fio_conn_setup_types,         /* server */
    fio_steps_setup_types,        /* server */
    fio_handler_task_setup_types, /* server */
};

/* What is to be known of the running Python (base/compat.h). */
static int
module_add_flags(PyObject *module)
{
#define X(name, flag)                                                            \
    if (PyModule_AddObjectRef(module, #name, (flag) ? Py_True : Py_False) < 0) { \
        return -1;                                                               \
    }
    FIO_COMPAT_FLAGS(X)
#undef X
    return 0;
}

static int
module_exec(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    int result = fio_state_init(st);
    if (result == 0) {
        result = fio_context_setup(st);
    }
    if (result == 0) {
        result = fio_gc_setup(st);
    }
    if (result == 0) {
        result = module_add_flags(module);
    }
    for (size_t i = 0; i < sizeof(module_setups) / sizeof(module_setups[0]) && result == 0; i++) {
        result = module_setups[i](module);
    }
    return result;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    return fio_state_traverse(fio_state_of_module(module), visit, arg);
}

static int
module_clear(PyObject *module)
{
    fio_state *st = fio_state_of_module(module);
    fio_clock_end(st);
    return fio_state_clear(st);
}

static void
module_free(void *module)
{
    (void)module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    FIO_MODULE_SLOT_INTERPRETERS FIO_MODULE_SLOT_GIL{0, NULL},
};

struct PyModuleDef fio_module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "fastaio._core",
    .m_doc = "The C side of fastaio.",
    .m_size = sizeof(fio_state),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&fio_module);
}
