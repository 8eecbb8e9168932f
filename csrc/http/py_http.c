/* Puts the room's types and functions into the module, exceptions first. */

#include "http/py_http.h"

#include "http/body.h"
#include "http/py_codec.h"
#include "http/py_multipart.h"
#include "http/py_parser.h"
#include "http/py_reader.h"

int
fio_http_setup_types(PyObject *module)
{
    if (fio_py_parser_setup_types(module) < 0 || fio_py_reader_setup_types(module) < 0
        || fio_py_multipart_setup_types(module) < 0) {
        return -1;
    }
    return fio_py_codec_setup_types(module) < 0 ? -1 : fio_body_setup_types(module);
}
