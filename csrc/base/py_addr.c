/* The socket address of a numeric host and port, without asking the resolver: what getaddrinfo()
 * would give for what nearly all programs write. Everything else is left to the real one
 * (fastaio/addresses.py), with all its ways to write a number. */

#include "base/addr.h"
#include "base/text.h"

/* Longer than any address that inet_pton() takes. */
#define HOST_MAX INET6_ADDRSTRLEN

#define PORT_MAX 65535

/* Whether `addr` now is that of host and port. Never raises. */
static bool
address_parse(PyObject *host, PyObject *port, fio_addr *addr)
{
    char text[HOST_MAX + 1];
    if (!PyLong_CheckExact(port) || !fio_text_copy(host, HOST_MAX, text)) {
        return false;
    }
    int overflow;
    long number = PyLong_AsLongAndOverflow(port, &overflow);
    if (overflow != 0 || number < 0 || number > PORT_MAX) {
        return false;
    }
    return fio_addr_of_host(AF_INET, text, (uint16_t)number, addr)
           || fio_addr_of_host(AF_INET6, text, (uint16_t)number, addr);
}

PyDoc_STRVAR(addr_numeric_address_doc,
             "numeric_address($module, host, port, /, *hints)\n"
             "--\n\n"
             "The socket address of an IPv4 or IPv6 host in its usual form and an int port.\n\n"
             "None for everything else, and where one of the hints is no int.");

static PyObject *
addr_numeric_address(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 2) {
        return PyErr_Format(PyExc_TypeError, "numeric_address() takes at least 2 arguments");
    }
    for (Py_ssize_t i = 2; i < nargs; i++) {
        if (!PyLong_Check(args[i])) {
            Py_RETURN_NONE;
        }
    }
    fio_addr addr;
    if (!address_parse(args[0], args[1], &addr)) {
        Py_RETURN_NONE;
    }
    return fio_addr_to_python(&addr.as.any, addr.size);
}

static PyMethodDef addr_functions[] = {
    {"numeric_address", FIO_METHOD(addr_numeric_address), METH_FASTCALL, addr_numeric_address_doc},
    {NULL, NULL, 0, NULL},
};

int
fio_addr_setup_functions(PyObject *module)
{
    return PyModule_AddFunctions(module, addr_functions);
}
