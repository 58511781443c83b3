/*
 * The copy between a struct and CDR, as a list of runs.
 *
 * Neighbours whose distance is the same in both are one run: what stands behind a number is where
 * CDR puts it if it needs no more alignment than the run has at its start.
 */

#include "bus/cdr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/error.h"
#include "bus/type.h"

#define MOST_BYTES_MAX (UINT64_C(1) << 31)
#define LENGTH_BYTES 4u

/* What begins a message. A reader looks at the first two only; of the last one two bits count the
 * bytes that some senders add at the end, see cdr_is_filler(). */
static const uint8_t header[CDR_HEADER_BYTES] = {0, 1, 0, 0};

enum run_kind {
        RUN_COPY,     /* bytes at a time */
        RUN_CONSTANT, /* what the type says, whatever lies there */
        RUN_TEXT,
        RUN_LOOP, /* the runs behind it, for each element */
};

/**
 * struct run - a part of a message
 * @kind:       one of enum run_kind
 * @field:      index of the field that it begins with
 * @offset:     where that is, from the message's or the element's start; of the elements of a loop
 * @bytes:      in memory; of a loop, from element to element
 * @align:      in CDR
 * @value:      of a constant
 * @sequence:   of a loop: how many elements there are is written before them
 * @length:     of a sequence: where that stands
 * @count:      of a loop: elements, at most
 * @inner:      of a loop: runs of an element
 * @bulk:       of a loop: elements are nothing but bytes, and stand in CDR as here
 */
struct run {
        enum run_kind kind;
        uint32_t field;
        uint32_t offset;
        uint32_t bytes;
        uint32_t align;
        const uint8_t *value;
        bool sequence;
        uint32_t length;
        uint32_t count;
        uint32_t inner;
        bool bulk;
};

struct cdr {
        const struct slipring_type *type;
        bool flat;
        uint32_t most_bytes;
        size_t closed; /* runs that nothing is added to: they are of other elements */
        size_t count;
        struct run runs[];
};

/*
 * Compiling
 */

static uint32_t kind_align(const struct slipring_field *field) {
        if (field->kind == SLIPRING_KIND_TIME || field->kind == SLIPRING_KIND_DURATION) {
                return 4;
        }
        return field->element_bytes;
}

/* Appends a run, or makes the last one longer. */
static void run_append(struct cdr *cdr, struct run run) {
        struct run *last = cdr->count > cdr->closed ? &cdr->runs[cdr->count - 1] : NULL;

        if (last && last->kind == RUN_COPY && run.kind == RUN_COPY &&
            last->offset + last->bytes == run.offset && run.align <= last->align &&
            last->bytes % run.align == 0) {
                last->bytes += run.bytes;
                return;
        }
        cdr->runs[cdr->count++] = run;
}

static void compile_fields(struct cdr *cdr, uint32_t first, uint32_t count, uint32_t base);

/* One value. */
static void compile_value(struct cdr *cdr, uint32_t index, uint32_t offset) {
        const struct slipring_field *field = &cdr->type->fields[index];
        struct run run = {.field = index,
                          .offset = offset,
                          .bytes = field->element_bytes,
                          .align = kind_align(field)};

        switch (field->kind) {
        case SLIPRING_KIND_STRUCT:
        case SLIPRING_KIND_LIST:
                compile_fields(cdr, field->first_child, field->child_count, offset);
                return;
        case SLIPRING_KIND_TEXT:
                run.kind = RUN_TEXT;
                run.align = LENGTH_BYTES;
                break;
        case SLIPRING_KIND_LENGTH:
                /* The bus is little-endian only: the number lies there as it does here. */
                run.kind = RUN_CONSTANT;
                run.value = (const uint8_t *) &field->first_child;
                break;
        default:
                run.kind = RUN_COPY;
        }
        run_append(cdr, run);
}

/* An array, or the elements of a sequence, whose length is at @length. */
static void
compile_loop(struct cdr *cdr, uint32_t index, uint32_t offset, bool sequence, uint32_t length) {
        const struct slipring_field *field = &cdr->type->fields[index];
        size_t at = cdr->count++, closed = cdr->closed;
        struct run *loop = &cdr->runs[at], *element = loop + 1;

        *loop = (struct run){
                .kind = RUN_LOOP,
                .field = index,
                .offset = offset,
                .bytes = field->element_bytes,
                .sequence = sequence,
                .length = length,
                .count = field->count,
        };
        cdr->closed = cdr->count;
        compile_value(cdr, index, 0);
        loop->inner = (uint32_t) (cdr->count - at - 1);
        loop->align = loop->inner ? element->align : 1;
        loop->bulk = loop->inner == 1 && element->kind == RUN_COPY && element->offset == 0 &&
                     element->bytes == loop->bytes && loop->bytes % element->align == 0;
        cdr->closed = cdr->count;
        if (loop->bulk && !sequence) {
                struct run run = {.kind = RUN_COPY,
                                  .field = index,
                                  .offset = offset,
                                  .bytes = field->count * field->element_bytes,
                                  .align = element->align};

                cdr->closed = closed;
                cdr->count = at;
                run_append(cdr, run);
        }
}

static void compile_field(struct cdr *cdr, uint32_t index, uint32_t offset) {
        const struct slipring_field *field = &cdr->type->fields[index];
        uint32_t elements;

        switch (field->kind) {
        case SLIPRING_KIND_GAP:
                return;
        case SLIPRING_KIND_STRING:
                run_append(cdr, (struct run){.kind = RUN_CONSTANT,
                                             .field = index,
                                             .offset = offset,
                                             .bytes = field->count,
                                             .align = 1,
                                             .value = (const uint8_t *) field->unit});
                return;
        case SLIPRING_KIND_SEQUENCE:
                elements = (uint32_t) (type_elements(cdr->type, field) - cdr->type->fields);
                compile_loop(cdr, elements, offset + cdr->type->fields[elements].offset_bytes, true,
                             offset);
                return;
        default:
                if (field->count > 0) {
                        compile_loop(cdr, index, offset, false, 0);
                } else {
                        compile_value(cdr, index, offset);
                }
        }
}

/* Nesting is bounded by SLIPRING_NESTING_MAX, so that the stack is too. */
static void compile_fields(struct cdr *cdr, uint32_t first, uint32_t count, uint32_t base) {
        for (uint32_t i = first; i < first + count; i++) {
                compile_field(cdr, i, base + cdr->type->fields[i].offset_bytes);
        }
}

/* The bytes that runs come to at most. An element takes a byte at least of a payload, so that no
 * number here is far from the size of one. */
static uint64_t most(const struct run *runs, size_t count) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < count; i++) {
                const struct run *run = &runs[i];

                bytes += run->align - 1;
                if (run->kind != RUN_LOOP) {
                        bytes += run->bytes + (run->kind == RUN_TEXT ? LENGTH_BYTES : 0);
                        continue;
                }
                bytes += run->sequence ? LENGTH_BYTES - 1 + LENGTH_BYTES : 0;
                bytes += run->count *
                         (run->bulk ? (uint64_t) run->bytes : most(run + 1, run->inner));
                i += run->inner;
        }
        return bytes;
}

int cdr_compile(struct cdr **ret_cdr,
                const struct slipring_type *type,
                struct slipring_error *reterr) {
        struct cdr *cdr;
        uint64_t bytes = type->payload_bytes;

        /* Each record makes one run, or two: a loop and what is in it. */
        cdr = calloc(1, sizeof(*cdr) + 2 * (size_t) type->field_count * sizeof(*cdr->runs));
        if (!cdr) {
                return error_set(reterr, -ENOMEM, "out of memory");
        }
        cdr->type = type;
        cdr->flat = type_is_flat(type);
        if (!cdr->flat) {
                compile_fields(cdr, 0, type->root_count, 0);
                bytes = most(cdr->runs, cdr->count);
        }
        if (bytes + CDR_HEADER_BYTES > MOST_BYTES_MAX) {
                cdr_free(cdr);
                return error_set(reterr, -E2BIG,
                                 "type %s: its largest message in CDR has more than 2 GiB",
                                 type->name);
        }
        cdr->most_bytes = (uint32_t) bytes + CDR_HEADER_BYTES;
        *ret_cdr = cdr;
        return 0;
}

struct cdr *cdr_free(struct cdr *cdr) {
        free(cdr);
        return NULL;
}

bool cdr_is_flat(const struct cdr *cdr) {
        return cdr->flat;
}

uint32_t cdr_most_bytes(const struct cdr *cdr) {
        return cdr->most_bytes;
}

/*
 * Writing
 */

/* A message so far. */
struct output {
        uint8_t *data;
        uint32_t at;
};

static void put(struct output *output, uint32_t align, const void *from, uint32_t bytes) {
        uint32_t gap = -output->at & (align - 1);

        memset(output->data + output->at, 0, gap);
        memcpy(output->data + output->at + gap, from, bytes);
        output->at += gap + bytes;
}

static void
put_text(struct output *output, const struct slipring_field *field, const uint8_t *text) {
        uint32_t length = type_text_length(field, text), bytes = length + 1;

        put(output, LENGTH_BYTES, &bytes, sizeof(bytes));
        put(output, 1, text, length);
        put(output, 1, "", 1);
}

static void put_runs(const struct cdr *cdr,
                     size_t first,
                     size_t end,
                     const uint8_t *base,
                     struct output *output);

static void
put_loop(const struct cdr *cdr, size_t index, const uint8_t *base, struct output *output) {
        const struct run *loop = &cdr->runs[index];
        const uint8_t *element = base + loop->offset;
        uint32_t count = loop->count, length;

        if (loop->sequence) {
                memcpy(&length, base + loop->length, sizeof(length));
                count = length < count ? length : count;
                put(output, LENGTH_BYTES, &count, sizeof(count));
        }
        if (loop->bulk) {
                if (count > 0) {
                        put(output, loop->align, element, count * loop->bytes);
                }
                return;
        }
        for (; count > 0; count--, element += loop->bytes) {
                put_runs(cdr, index + 1, index + 1 + loop->inner, element, output);
        }
}

static void put_runs(const struct cdr *cdr,
                     size_t first,
                     size_t end,
                     const uint8_t *base,
                     struct output *output) {
        for (size_t i = first; i < end; i++) {
                const struct run *run = &cdr->runs[i];

                switch (run->kind) {
                case RUN_COPY:
                        put(output, run->align, base + run->offset, run->bytes);
                        break;
                case RUN_CONSTANT:
                        put(output, run->align, run->value, run->bytes);
                        break;
                case RUN_TEXT:
                        put_text(output, &cdr->type->fields[run->field], base + run->offset);
                        break;
                case RUN_LOOP:
                        put_loop(cdr, i, base, output);
                        i += run->inner;
                        break;
                }
        }
}

void *cdr_payload(void *message) {
        memcpy(message, header, sizeof(header));
        return (uint8_t *) message + sizeof(header);
}

uint32_t cdr_write(const struct cdr *cdr, const void *payload, void *message) {
        struct output output = {.data = cdr_payload(message)};

        if (cdr->flat) {
                memcpy(output.data, payload, cdr->type->payload_bytes);
                return CDR_HEADER_BYTES + cdr->type->payload_bytes;
        }
        put_runs(cdr, 0, cdr->count, payload, &output);
        return CDR_HEADER_BYTES + output.at;
}

/*
 * Reading
 */

/* A message, and how much of it was read. */
struct input {
        const struct cdr *cdr;
        const uint8_t *data;
        size_t bytes;
        size_t at;
        struct slipring_error *reterr;
};

/* The next bytes; NULL where the message ends before. */
static const uint8_t *get(struct input *input, const struct run *run, size_t align, size_t bytes) {
        size_t at = (input->at + align - 1) & ~(align - 1);
        char path[TYPE_PATH_BYTES];

        if (at > input->bytes || bytes > input->bytes - at) {
                type_path(input->cdr->type, run->field, path);
                error_set(input->reterr, -EBADMSG, "the message ends in its field '%s'", path);
                return NULL;
        }
        input->at = at + bytes;
        return input->data + at;
}

/* A length, of a string with its NUL. */
static int get_length(struct input *input, const struct run *run, uint32_t *ret_length) {
        const uint8_t *from = get(input, run, LENGTH_BYTES, sizeof(*ret_length));

        if (!from) {
                return -EBADMSG;
        }
        memcpy(ret_length, from, sizeof(*ret_length));
        return 0;
}

static int get_text(struct input *input, const struct run *run, uint8_t *to) {
        char path[TYPE_PATH_BYTES];
        const uint8_t *text;
        uint32_t bytes = 0;

        if (get_length(input, run, &bytes) < 0) {
                return -EBADMSG;
        }
        type_path(input->cdr->type, run->field, path);
        if (bytes > run->bytes) {
                return error_set(input->reterr, -EBADMSG,
                                 "field '%s' has %u bytes and its bound is %u", path, bytes - 1,
                                 run->bytes - 1);
        }
        /* Some write an empty string without its NUL. */
        text = get(input, run, 1, bytes);
        if (!text) {
                return -EBADMSG;
        }
        if (bytes > 0 && memchr(text, 0, bytes) != text + bytes - 1) {
                return error_set(input->reterr, -EBADMSG,
                                 "field '%s' has no NUL at its end, or one before", path);
        }
        memcpy(to, text, bytes);
        return 0;
}

static int get_constant(struct input *input, const struct run *run) {
        const struct slipring_field *field = &input->cdr->type->fields[run->field];
        const uint8_t *from = get(input, run, run->align, run->bytes);
        char path[TYPE_PATH_BYTES];

        if (!from) {
                return -EBADMSG;
        }
        if (memcmp(from, run->value, run->bytes) == 0) {
                return 0;
        }
        type_path(input->cdr->type, run->field, path);
        if (field->kind == SLIPRING_KIND_STRING) {
                return error_set(input->reterr, -EBADMSG,
                                 "field '%s' is another string than '%.64s', which it always is",
                                 path, field->unit);
        }
        return error_set(input->reterr, -EBADMSG,
                         "field '%s' has another length than %u, which it always has", path,
                         field->first_child);
}

static int get_runs(struct input *input, size_t first, size_t end, uint8_t *base);

static int get_loop(struct input *input, size_t index, uint8_t *base) {
        const struct run *loop = &input->cdr->runs[index];
        uint8_t *element = base + loop->offset;
        uint32_t count = loop->count;
        char path[TYPE_PATH_BYTES];
        const uint8_t *from;
        int r = 0;

        if (loop->sequence) {
                if (get_length(input, loop, &count) < 0) {
                        return -EBADMSG;
                }
                if (count > loop->count) {
                        type_path(input->cdr->type, loop->field, path);
                        return error_set(input->reterr, -EBADMSG,
                                         "field '%s' has %u elements and its bound is %u", path,
                                         count, loop->count);
                }
                memcpy(base + loop->length, &count, sizeof(count));
        }
        if (loop->bulk) {
                from = count > 0 ? get(input, loop, loop->align, (size_t) count * loop->bytes)
                                 : input->data;
                if (!from) {
                        return -EBADMSG;
                }
                memcpy(element, from, (size_t) count * loop->bytes);
                return 0;
        }
        for (; r == 0 && count > 0; count--, element += loop->bytes) {
                r = get_runs(input, index + 1, index + 1 + loop->inner, element);
        }
        return r;
}

static int get_runs(struct input *input, size_t first, size_t end, uint8_t *base) {
        const uint8_t *from;
        int r = 0;

        for (size_t i = first; r == 0 && i < end; i++) {
                const struct run *run = &input->cdr->runs[i];

                switch (run->kind) {
                case RUN_COPY:
                        from = get(input, run, run->align, run->bytes);
                        if (!from) {
                                return -EBADMSG;
                        }
                        memcpy(base + run->offset, from, run->bytes);
                        break;
                case RUN_CONSTANT:
                        /* In memory the library writes it. */
                        r = get_constant(input, run);
                        break;
                case RUN_TEXT:
                        r = get_text(input, run, base + run->offset);
                        break;
                case RUN_LOOP:
                        r = get_loop(input, i, base);
                        i += run->inner;
                        break;
                }
        }
        return r;
}

bool cdr_is_filler(const void *message, size_t used, size_t bytes) {
        static const uint8_t zeros[3];
        const uint8_t *data = message;
        size_t rest = bytes - used;

        return rest == 0 || rest == (data[3] & 3u) ||
               (rest <= sizeof(zeros) && bytes % 4 == 0 && memcmp(data + used, zeros, rest) == 0);
}

int cdr_read(const struct cdr *cdr,
             const void *message,
             size_t bytes,
             void *room,
             const void **ret_payload,
             struct slipring_error *reterr) {
        const struct slipring_type *type = cdr->type;
        const uint8_t *data = message;
        const struct slipring_field *bad;
        struct input input = {.cdr = cdr, .data = data + CDR_HEADER_BYTES, .reterr = reterr};

        input.bytes = bytes > CDR_HEADER_BYTES ? bytes - CDR_HEADER_BYTES : 0;
        if (cdr->flat && input.bytes != type->payload_bytes &&
            !(input.bytes > type->payload_bytes &&
              cdr_is_filler(data, CDR_HEADER_BYTES + type->payload_bytes, bytes))) {
                return error_set(reterr, -EBADMSG,
                                 "a message of %s has %u + %u bytes, this one %zu", type->name,
                                 CDR_HEADER_BYTES, type->payload_bytes, bytes);
        }
        if (bytes < CDR_HEADER_BYTES || data[0] != header[0] || data[1] != header[1]) {
                return error_set(reterr, -EBADMSG,
                                 "the message is not little-endian CDR: it begins with %02x %02x, "
                                 "not 00 01",
                                 bytes > 0 ? data[0] : 0, bytes > 1 ? data[1] : 0);
        }
        if (cdr->flat) {
                input.at = type->payload_bytes;
                room = (void *) input.data;
        } else {
                memset(room, 0, type->payload_bytes);
                if (get_runs(&input, 0, cdr->count, room) < 0) {
                        return -EBADMSG;
                }
        }
        if (!cdr_is_filler(data, CDR_HEADER_BYTES + input.at, bytes)) {
                return error_set(reterr, -EBADMSG, "%zu bytes stand behind its last field",
                                 input.bytes - input.at);
        }
        bad = type_bad_bool(type, room);
        if (bad) {
                return error_set(reterr, -EBADMSG, "field '%s' is a bool and neither 0 nor 1",
                                 bad->name);
        }
        *ret_payload = room;
        return 0;
}
