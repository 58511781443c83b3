/*
 * Messages of ROS 2 as eProsima's Fast-CDR encodes them, against the layout that slipring gives
 * them.
 *
 * The payload is made from the generated field table alone: random numbers, and the lengths and
 * texts that never change. The encoder is told from elsewhere what the message is made of (see
 * make-messages) and takes its numbers from the payload, one after the other. What it makes has to
 * be the payload; of messages whose strings and sequences change, what the copy makes of it,
 * whatever stands behind their ends, and the copy has to bring it back.
 *
 * usage: cdr-messages SEED DIRECTORY
 */

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <fastcdr/Cdr.h>
#include <fastcdr/FastBuffer.h>

extern "C" {
#include "bus/cdr.h"
}

#include "random.h"

using eprosima::fastcdr::Cdr;
using eprosima::fastcdr::FastBuffer;

static uint64_t state;

static void noise(char *memory, size_t bytes) {
        while (bytes-- > 0) {
                state = state * 6364136223846793005ull + 1442695040888963407ull;
                *memory++ = static_cast<char>(state >> 56);
        }
}

static unsigned messages, texts, lists, pads, strings, sequences;

/* A message on the bus, and where its numbers are: "numbers" has each byte of them in order. What
 * changes in it is given by the steps: of each string and each sequence the next one. */
struct Payload {
        std::vector<char> bytes, numbers;
        std::vector<std::string> strings;
        std::vector<uint32_t> counts;
        size_t strings_used, counts_used;
};

static void
fill(const slipring_type &type, const slipring_field &field, size_t base, Payload &payload);

/* Noise behind what counts, which is not to be seen. */
static void fill_string(char *here, size_t bytes, Payload &payload) {
        const std::string text = payload.strings.at(payload.strings_used++);

        noise(here, bytes);
        std::memcpy(here, text.c_str(), text.size() + 1);
        strings++;
}

static void
fill_sequence(const slipring_type &type, const slipring_field &field, size_t at, Payload &payload) {
        const slipring_field *second = &type.fields[field.first_child + 1];
        slipring_field element = second[second->kind == SLIPRING_KIND_GAP];
        uint32_t count = payload.counts.at(payload.counts_used++), bound = element.count;
        char *here = payload.bytes.data() + at;

        noise(here + element.offset_bytes, bound * element.element_bytes);
        element.count = 0;
        for (uint32_t i = 0; i < count; i++) {
                std::memset(here + element.offset_bytes, 0, element.element_bytes);
                fill(type, element, at, payload);
                element.offset_bytes += element.element_bytes;
        }
        /* A number above the bound is the bound. */
        count += count == bound ? state >> 62 : 0;
        std::memcpy(here, &count, sizeof(count));
        sequences++;
}

static void
fill(const slipring_type &type, const slipring_field &field, size_t base, Payload &payload) {
        size_t at = base + field.offset_bytes, count = field.count ? field.count : 1;
        char *here = payload.bytes.data() + at;

        switch (field.kind) {
        case SLIPRING_KIND_LENGTH:
                std::memcpy(here, &field.first_child, 4);
                return;
        case SLIPRING_KIND_STRING:
                std::memcpy(here, field.unit, field.count);
                texts++;
                return;
        case SLIPRING_KIND_TEXT:
                for (size_t i = 0; i < count; i++) {
                        fill_string(here + i * field.element_bytes, field.element_bytes, payload);
                }
                return;
        case SLIPRING_KIND_SEQUENCE:
                fill_sequence(type, field, at, payload);
                return;
        case SLIPRING_KIND_STRUCT:
        case SLIPRING_KIND_LIST:
                lists += field.kind == SLIPRING_KIND_LIST;
                for (size_t i = 0; i < count; i++) {
                        for (uint32_t j = 0; j < field.child_count; j++) {
                                fill(type, type.fields[field.first_child + j],
                                     at + i * field.element_bytes, payload);
                        }
                }
                return;
        }
        if (!std::strncmp(field.name, "pad", 3)) {
                pads++;
                return;
        }
        noise(here, count * field.element_bytes);
        for (size_t i = 0; field.kind == SLIPRING_KIND_BOOL && i < count; i++) {
                here[i] &= 1;
        }
        payload.numbers.insert(payload.numbers.end(), here, here + count * field.element_bytes);
}

/* The numbers that the encoder takes. */
struct Numbers {
        const std::vector<char> &bytes;
        size_t taken;

        template <typename T> T next() {
                T value = T();

                if (taken + sizeof(value) <= bytes.size()) {
                        std::memcpy(&value, bytes.data() + taken, sizeof(value));
                }
                taken += sizeof(value);
                return value;
        }
};

template <typename T> static void put(Cdr &cdr, Numbers &numbers, unsigned long count) {
        while (count-- > 0) {
                cdr << numbers.next<T>();
        }
}

static void put_step(Cdr &cdr, Numbers &numbers, const std::string &line) {
        const std::string word = line.substr(0, line.find(' ')),
                          rest = line.substr(word.size() + 1);
        const unsigned long count = std::strtoul(rest.c_str(), nullptr, 10);

        if (word == "text" || word == "string") {
                cdr << rest;
        } else if (word == "length" || word == "count") {
                cdr << static_cast<uint32_t>(count);
        } else if (word == "empty") {
                cdr << std::vector<double>();
        } else if (word == "nothing") {
                cdr << static_cast<uint8_t>(0);
        } else if (word == "bool") {
                for (unsigned long i = 0; i < count; i++) {
                        cdr << (numbers.next<uint8_t>() != 0);
                }
        } else if (word == "int8" || word == "uint8" || word == "byte") {
                put<uint8_t>(cdr, numbers, count);
        } else if (word == "int16") {
                put<int16_t>(cdr, numbers, count);
        } else if (word == "uint16") {
                put<uint16_t>(cdr, numbers, count);
        } else if (word == "int32") {
                put<int32_t>(cdr, numbers, count);
        } else if (word == "uint32") {
                put<uint32_t>(cdr, numbers, count);
        } else if (word == "int64") {
                put<int64_t>(cdr, numbers, count);
        } else if (word == "uint64") {
                put<uint64_t>(cdr, numbers, count);
        } else if (word == "float32") {
                put<float>(cdr, numbers, count);
        } else if (word == "float64") {
                put<double>(cdr, numbers, count);
        } else {
                std::printf("what is a %s?\n", word.c_str());
                std::exit(2);
        }
}

static bool is_flat(const slipring_type &type) {
        for (uint32_t i = 0; i < type.field_count; i++) {
                if (type.fields[i].kind >= SLIPRING_KIND_TEXT) {
                        return false;
                }
        }
        return true;
}

/* What slipring makes of the payload, and of that again by way of a payload. */
static bool copy(const slipring_type &type,
                 const std::vector<char> &payload,
                 std::vector<char> &once,
                 std::vector<char> &twice) {
        std::vector<char> room(type.payload_bytes);
        slipring_error error = slipring_error();
        struct cdr *cdr = nullptr;
        const void *back = nullptr;
        bool whole = cdr_compile(&cdr, &type, &error) == 0;

        if (whole) {
                /* Not a byte more than was said. */
                once.resize(cdr_most_bytes(cdr));
                twice.resize(cdr_most_bytes(cdr));
                once.resize(cdr_write(cdr, payload.data(), once.data()));
                whole = cdr_read(cdr, once.data(), once.size(), room.data(), &back, &error) == 0;
        }
        if (whole) {
                twice.resize(cdr_write(cdr, back, twice.data()));
        }
        if (*error.text) {
                std::printf("%s\n", error.text);
        }
        cdr_free(cdr);
        return whole;
}

static bool check(const std::string &path, const slipring_type &type) {
        std::vector<char> room(4 * type.payload_bytes + 4096), once, twice;
        FastBuffer buffer(room.data(), room.size());
        Cdr cdr(buffer, Cdr::LITTLE_ENDIANNESS, Cdr::DDS_CDR);
        std::vector<std::string> steps;
        std::ifstream file(path);
        std::string line;
        Payload payload = Payload();

        while (std::getline(file, line)) {
                steps.push_back(line);
                if (!line.compare(0, 7, "string ")) {
                        payload.strings.push_back(line.substr(7));
                } else if (!line.compare(0, 6, "count ")) {
                        payload.counts.push_back(std::stoul(line.substr(6)));
                }
        }
        payload.bytes.resize(type.payload_bytes);
        for (uint32_t i = 0; i < type.root_count; i++) {
                fill(type, type.fields[i], 0, payload);
        }
        Numbers numbers = {payload.numbers, 0};
        cdr.serialize_encapsulation();
        for (const std::string &step : steps) {
                put_step(cdr, numbers, step);
        }
        room.resize(cdr.getSerializedDataLength());
        messages++;
        if (numbers.taken == payload.numbers.size() && copy(type, payload.bytes, once, twice) &&
            once == room && twice == room &&
            (!is_flat(type) ||
             (room.size() == 4 + type.payload_bytes &&
              !std::memcmp(room.data() + 4, payload.bytes.data(), type.payload_bytes)))) {
                return true;
        }
        std::printf(
                "%s: %zu bytes of CDR differ from %zu (again %zu) of %u on the bus; %zu bytes of "
                "numbers of %zu\n",
                path.c_str(), room.size(), once.size(), twice.size(), type.payload_bytes,
                numbers.taken, payload.numbers.size());
        return false;
}

/* Nor does it look for anything behind the length of a sequence that is empty. */
static bool reads_an_empty_end() {
        char message[] = {0, 1, 0, 0, 0, 0, 0, 0};
        FastBuffer buffer(message, sizeof(message));
        Cdr cdr(buffer, Cdr::LITTLE_ENDIANNESS, Cdr::DDS_CDR);
        std::vector<double> values(1);

        cdr.read_encapsulation();
        cdr >> values;
        return values.empty();
}

int main(int argc, char **argv) {
        const std::string directory = argc == 3 ? argv[2] : ".";
        bool equal = reads_an_empty_end();

        state = argc == 3 ? std::strtoull(argv[1], nullptr, 10) : 0;
#define TOPIC(name) equal = check(directory + "/" #name, random_##name##_type) && equal;
#include "topics.h"
        std::printf("%u %u %u %u %u %u\n", messages, texts, lists, pads, strings, sequences);
        return !equal;
}
