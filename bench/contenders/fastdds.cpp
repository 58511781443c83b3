#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <string>
#include <sys/file.h>
#include <thread>
#include <unistd.h>

#include <fastdds/dds/core/LoanableSequence.hpp>
#include <fastdds/dds/domain/DomainParticipant.hpp>
#include <fastdds/dds/domain/DomainParticipantFactory.hpp>
#include <fastdds/dds/log/Log.hpp>
#include <fastdds/dds/publisher/DataWriter.hpp>
#include <fastdds/dds/publisher/Publisher.hpp>
#include <fastdds/dds/subscriber/DataReader.hpp>
#include <fastdds/dds/subscriber/SampleInfo.hpp>
#include <fastdds/dds/subscriber/Subscriber.hpp>
#include <fastdds/dds/topic/TopicDataType.hpp>
#include <fastdds/rtps/transport/shared_mem/SharedMemTransportDescriptor.h>

#include "bench/contender.h"

using namespace eprosima::fastdds::dds;
using eprosima::fastdds::rtps::SharedMemTransportDescriptor;
using eprosima::fastrtps::Duration_t;
using eprosima::fastrtps::rtps::GuidPrefix_t;
using eprosima::fastrtps::rtps::InstanceHandle_t;
using eprosima::fastrtps::rtps::SerializedPayload_t;

namespace {

/* Cyclone DDS speaks the same protocol in domain 0. */
constexpr unsigned domain = 7;
constexpr unsigned first_port = 7400 + 250 * domain;
constexpr unsigned open_ms = 20000;
constexpr long wait_ns = 100000000;
constexpr uint32_t encapsulation_bytes = 4;

/* As where nobody says anything of transports. */
constexpr uint32_t segment_bytes = 512 * 1024;

/* What shared memory keeps of the messages that wait for a subscriber. */
constexpr int32_t history = 8;

/* Plain memory of one size: what a generated type of an array of words comes to. */
class Words : public TopicDataType {
      public:
        explicit Words(uint32_t payload_bytes) : bytes(payload_bytes) {
                m_typeSize = bytes + encapsulation_bytes;
                auto_fill_type_object(false);
                auto_fill_type_information(false);
                setName(("bench_Words" + std::to_string(bytes)).c_str());
        }

        bool serialize(void *data, SerializedPayload_t *payload) override {
                const unsigned char encapsulation[encapsulation_bytes] = {0, CDR_LE, 0, 0};

                payload->encapsulation = CDR_LE;
                payload->length = bytes + encapsulation_bytes;
                memcpy(payload->data, encapsulation, encapsulation_bytes);
                memcpy(payload->data + encapsulation_bytes, data, bytes);
                return true;
        }

        bool deserialize(SerializedPayload_t *payload, void *data) override {
                memcpy(data, payload->data + encapsulation_bytes, bytes);
                return true;
        }

        std::function<uint32_t()> getSerializedSizeProvider(void *) override {
                return [this] { return bytes + encapsulation_bytes; };
        }

        void *createData() override {
                return new unsigned char[bytes]();
        }

        void deleteData(void *data) override {
                delete[] static_cast<unsigned char *>(data);
        }

        bool getKey(void *, InstanceHandle_t *, bool) override {
                return false;
        }

        bool is_bounded() const override {
                return true;
        }

        bool is_plain() const override {
                return true;
        }

      private:
        const uint32_t bytes;
};

/* A sequence whose elements are never made here: they are only lent to it. */
struct Sample {
        unsigned char first;
};
FASTDDS_SEQUENCE(Samples, Sample);

struct End {
        DomainParticipant *participant = nullptr;
        Topic *topic = nullptr;
        DataWriter *writer = nullptr;
        DataReader *reader = nullptr;
        uint32_t payload_bytes = 0;
        Samples samples;
        SampleInfoSeq infos;
};

int said(const ReturnCode_t &code, const char *what) {
        if (code == ReturnCode_t::RETCODE_OK) {
                return 0;
        }
        (void) fprintf(stderr, "slipring-bench: fastdds: %s: error %u\n", what, code());
        return -EIO;
}

void close_end(void *data) {
        End *end = static_cast<End *>(data);

        if (end->participant) {
                (void) end->participant->delete_contained_entities();
                (void) DomainParticipantFactory::get_instance()->delete_participant(
                        end->participant);
        }
        delete end;
}

/* Identity of a process's participant. The first four bytes are the machine's, the next four tell
 * processes apart; files of data sharing are called by it. */
GuidPrefix_t prefix_of(const struct contender_options *options, bool publisher) {
        const auto run = static_cast<uint32_t>(std::hash<std::string>()(options->scratch));
        const uint32_t process = run ^ (publisher ? 0x1000 : options->index);
        GuidPrefix_t prefix;

        memcpy(prefix.value, "\x01\x0fsb", 4);
        memcpy(prefix.value + 4, &process, 4);
        memcpy(prefix.value + 8, &run, 4);
        return prefix;
}

/* Shared memory and nothing else; discovery goes through it too. */
DomainParticipantQos shared_memory(const struct contender_options *options, bool publisher) {
        auto transport = std::make_shared<SharedMemTransportDescriptor>();
        DomainParticipantQos qos;

        transport->segment_size(std::max(segment_bytes, 4 * options->payload_bytes));
        qos.transport().use_builtin_transports = false;
        qos.transport().user_transports.push_back(transport);
        qos.wire_protocol().prefix = prefix_of(options, publisher);
        return qos;
}

template <typename Qos> Qos reliable(const struct contender_options *options) {
        Qos qos;

        qos.reliability().kind = RELIABLE_RELIABILITY_QOS;
        qos.reliability().max_blocking_time = Duration_t(1, 0);
        qos.durability().kind = VOLATILE_DURABILITY_QOS;
        qos.history().kind = KEEP_LAST_HISTORY_QOS;
        qos.history().depth = options->window ? static_cast<int32_t>(options->window) : history;
        if (options->gated && options->subscribers > 0) {
                /* The subscriber's listener reads beyond its memory once its publisher laps it:
                 * 2.9.1 crashes there. Through the transport's shared memory it does not. */
                qos.data_sharing().off();
        } else {
                qos.data_sharing().automatic();
        }
        return qos;
}

int open_end(End **ret_end, const struct contender_options *options, bool publisher) {
        const char *name = strrchr(options->scratch, '/') + 1;
        auto end = std::make_unique<End>();
        TypeSupport type(new Words(options->payload_bytes));
        int r;

        Log::SetVerbosity(Log::Kind::Error);
        end->payload_bytes = options->payload_bytes;
        end->participant = DomainParticipantFactory::get_instance()->create_participant(
                domain, shared_memory(options, publisher));
        if (!end->participant) {
                return -EIO;
        }
        r = said(type.register_type(end->participant), "register_type");
        if (r == 0) {
                end->topic = end->participant->create_topic(name, type.get_type_name(),
                                                            TOPIC_QOS_DEFAULT);
                r = end->topic ? 0 : -EIO;
        }
        if (r < 0) {
                close_end(end.release());
                return r;
        }
        *ret_end = end.release();
        return 0;
}

/* Until all have been discovered: what is written before that does not reach them. */
int await_subscribers(End *end, unsigned count) {
        PublicationMatchedStatus matched;
        unsigned waited_ms;
        int r = 0;

        for (waited_ms = 0; r == 0; waited_ms++) {
                r = said(end->writer->get_publication_matched_status(matched), "matched");
                if (matched.current_count >= static_cast<int32_t>(count)) {
                        break;
                }
                if (waited_ms == open_ms) {
                        return -ETIMEDOUT;
                }
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return r;
}

int open_publisher(void **ret_end, const struct contender_options *options) {
        Publisher *publisher;
        End *end = nullptr;
        int r;

        r = open_end(&end, options, true);
        if (r < 0) {
                return r;
        }
        publisher = end->participant->create_publisher(PUBLISHER_QOS_DEFAULT);
        if (publisher) {
                end->writer =
                        publisher->create_datawriter(end->topic, reliable<DataWriterQos>(options));
        }
        r = end->writer ? await_subscribers(end, options->subscribers) : -EIO;
        if (r < 0) {
                close_end(end);
                return r;
        }
        *ret_end = end;
        return 0;
}

int open_subscriber(void **ret_end, const struct contender_options *options) {
        Subscriber *subscriber;
        End *end = nullptr;
        int r;

        r = open_end(&end, options, false);
        if (r < 0) {
                return r;
        }
        subscriber = end->participant->create_subscriber(SUBSCRIBER_QOS_DEFAULT);
        if (subscriber) {
                end->reader =
                        subscriber->create_datareader(end->topic, reliable<DataReaderQos>(options));
        }
        if (!end->reader) {
                close_end(end);
                return -EIO;
        }
        *ret_end = end;
        return 0;
}

/* A living process holds a lock on each of its segments, and on each port that it listens at. */
bool held(const std::string &path) {
        int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        bool locked = file >= 0 && flock(file, LOCK_EX | LOCK_NB) < 0;

        if (file >= 0) {
                (void) close(file);
        }
        return locked;
}

void remove_dead(const std::string &name) {
        const std::string path = "/dev/shm/" + name;

        if (!held(path + "_el") && !held(path + "_sl")) {
                (void) unlink(path.c_str());
                (void) unlink((path + "_el").c_str());
                (void) unlink((path + "_sl").c_str());
                (void) unlink(("/dev/shm/sem." + name + "_mutex").c_str());
        }
}

/* The run's files of data sharing; segments whose process is dead, as the library's own command
 * removes them; ports of our domain. */
void clean(const struct contender_options *options) {
        const GuidPrefix_t prefix = prefix_of(options, true);
        DIR *directory = opendir("/dev/shm");
        struct dirent *entry;
        char run[16];

        (void) snprintf(run, sizeof(run), ".%02x.%02x.%02x.%02x_", prefix.value[8], prefix.value[9],
                        prefix.value[10], prefix.value[11]);
        while (directory && (entry = readdir(directory)) != nullptr) {
                const std::string name = entry->d_name;
                const size_t length = name.size();
                unsigned port = 0;

                if (name.rfind("fast_datasharing_01.0f.73.62.", 0) == 0 &&
                    name.find(run) != std::string::npos) {
                        (void) unlink(("/dev/shm/" + name).c_str());
                } else if (sscanf(name.c_str(), "fastrtps_port%u", &port) == 1) {
                        if (port >= first_port && port < first_port + 250) {
                                remove_dead("fastrtps_port" + std::to_string(port));
                        }
                } else if (name.rfind("fastrtps_", 0) == 0 && length > 3 &&
                           name.compare(length - 3, 3, "_el") == 0) {
                        remove_dead(name.substr(0, length - 3));
                }
        }
        if (directory) {
                (void) closedir(directory);
        }
}

int publish(void *data, const void *payload) {
        End *end = static_cast<End *>(data);

        return end->writer->write(const_cast<void *>(payload)) ? 0 : -EIO;
}

int loan(void *data, void **ret_payload) {
        End *end = static_cast<End *>(data);

        return said(end->writer->loan_sample(*ret_payload), "loan_sample");
}

int commit(void *data, void *payload) {
        return publish(data, payload);
}

/* The next sample, where it lies. */
int borrow_now(End *end, const void **ret_payload) {
        ReturnCode_t code = end->reader->take(end->samples, end->infos, 1);

        if (code == ReturnCode_t::RETCODE_NO_DATA) {
                return 0;
        }
        if (code != ReturnCode_t::RETCODE_OK) {
                return said(code, "take");
        }
        if (!end->infos[0].valid_data) {
                return said(end->reader->return_loan(end->samples, end->infos), "return_loan");
        }
        *ret_payload = &end->samples[0];
        return 1;
}

/* Its publisher overwrites in shared memory what a subscriber looks at, unless that asks. */
int give_back(void *data, const void *payload) {
        End *end = static_cast<End *>(data);
        bool whole = end->reader->is_sample_valid(payload, &end->infos[0]);
        int r = said(end->reader->return_loan(end->samples, end->infos), "return_loan");

        return r < 0 ? r : whole;
}

int take(void *data, void *buffer) {
        End *end = static_cast<End *>(data);
        const void *payload = nullptr;
        int r;

        r = borrow_now(end, &payload);
        if (r <= 0) {
                return r;
        }
        memcpy(buffer, payload, end->payload_bytes);
        return give_back(end, payload);
}

bool woken(const End *end) {
        return end->reader->wait_for_unread_message(Duration_t(0, wait_ns));
}

int wait_take(void *data, void *buffer) {
        return woken(static_cast<End *>(data)) ? take(data, buffer) : 0;
}

int borrow(void *data, const void **ret_payload) {
        End *end = static_cast<End *>(data);

        return woken(end) ? borrow_now(end, ret_payload) : 0;
}

} // namespace

const struct contender contender = {
        .name = "fastdds",
        .version = CONTENDER_VERSION,
        .note = "Fast DDS over shared memory, with data sharing: one copy in, one out (none in "
                "place); a helper thread of each subscriber; reliable, 8 samples kept, of which a "
                "subscriber that looks too long is to ask whether they are whole",
        .alone = true,
        .loses = false,
        .threaded = true,
        .keeps = false,
        .payload_max = 0,
        .able = nullptr,
        .serve = nullptr,
        .serves_cold = false,
        .open_publisher = open_publisher,
        .open_subscriber = open_subscriber,
        .close = close_end,
        .clean = clean,
        .publish = publish,
        .take = take,
        .wait = wait_take,
        .take_batch = nullptr,
        .loan = loan,
        .commit = commit,
        .borrow = borrow,
        .give_back = give_back,
};
