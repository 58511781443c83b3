/*
 * Messages of ROS 2 as eProsima's Fast-CDR encodes them, against the layout that slipring gives
 * them.
 *
 * The payload is made from the generated field table alone: random numbers, and the lengths and
 * texts that never change. The encoder is told from elsewhere what the message is made of (see
 * make-messages) and takes its numbers from the payload, one after the other. What it makes has to
 * be the payload.
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

static unsigned messages, texts, lists, pads;

/* A message on the bus, and where its numbers are: "numbers" has each byte of them in order. */
struct Payload {
        std::vector<char> bytes, numbers;
};

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

        if (word == "text") {
                cdr << rest;
        } else if (word == "length") {
                cdr << static_cast<uint32_t>(count);
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

static bool check(const std::string &path, const slipring_type &type) {
        std::vector<char> room(2 * type.payload_bytes + 4096);
        FastBuffer buffer(room.data(), room.size());
        Cdr cdr(buffer, Cdr::LITTLE_ENDIANNESS, Cdr::DDS_CDR);
        Payload payload;
        std::ifstream steps(path);
        std::string line;

        payload.bytes.resize(type.payload_bytes);
        for (uint32_t i = 0; i < type.root_count; i++) {
                fill(type, type.fields[i], 0, payload);
        }
        Numbers numbers = {payload.numbers, 0};
        cdr.serialize_encapsulation();
        while (std::getline(steps, line)) {
                put_step(cdr, numbers, line);
        }
        messages++;
        if (numbers.taken == payload.numbers.size() &&
            cdr.getSerializedDataLength() == 4 + type.payload_bytes &&
            !std::memcmp(room.data() + 4, payload.bytes.data(), type.payload_bytes)) {
                return true;
        }
        std::printf("%s: %zu bytes of CDR differ from %u on the bus; %zu bytes of numbers of %zu\n",
                    path.c_str(), cdr.getSerializedDataLength() - 4, type.payload_bytes,
                    numbers.taken, payload.numbers.size());
        return false;
}

int main(int argc, char **argv) {
        const std::string directory = argc == 3 ? argv[2] : ".";
        bool equal = true;

        state = argc == 3 ? std::strtoull(argv[1], nullptr, 10) : 0;
#define TOPIC(name) equal = check(directory + "/" #name, random_##name##_type) && equal;
#include "topics.h"
        std::printf("%u %u %u %u\n", messages, texts, lists, pads);
        return !equal;
}
