/* What parser, server and tests share about message heads. */

#include "http/message.h"

const fio_limits fio_limits_default = {
    .line = 8190,
    .field = 8190,
    .fields = FIO_FIELDS_MAX,
    .head = 65536,
    .body = 1024 * 1024,
};

const fio_field *
fio_head_find(const fio_head *head, fio_field_id id)
{
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id == (uint8_t)id) {
            return &head->fields[i];
        }
    }
    return NULL;
}
