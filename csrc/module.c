/* fastaio._core: the one extension module. Each room sets up its own types; this file only says in
 * which order. */

#include "base/aio.h"
#include "loop/loop.h"
#include "server/router.h"

static int
module_exec(PyObject *module)
{
    if (fio_state_init(fio_state_of_module(module)) < 0 || fio_aio_setup_types(module) < 0
        || fio_loop_setup_types(module) < 0 || fio_route_setup_types(module) < 0
        || fio_router_setup_types(module) < 0) {
        return -1;
    }
    return 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    return fio_state_traverse(fio_state_of_module(module), visit, arg);
}

static int
module_clear(PyObject *module)
{
    return fio_state_clear(fio_state_of_module(module));
}

static void
module_free(void *module)
{
    (void)module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    FIO_MODULE_SLOT_INTERPRETERS{0, NULL},
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
