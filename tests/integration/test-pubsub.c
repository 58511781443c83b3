/*
 * Publishers and subscribers over a live bus: what the public headers promise, call by call.
 */

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/harness.h"

#define DEEP 200u

static void publish(struct slipring_publisher *publisher, uint64_t number) {
        struct message message = message_make(number);

        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), number),
                         0);
}

static int setup(void **state) {
        static struct bus bus;
        struct topic_spec specs[] = {topic_of("imu", 4), topic_of("odom", 2),
                                     topic_of("deep", DEEP), topic_of("pinned", 8)};

        specs[3].pins = 1;
        bus_start(&bus, specs, 4);
        *state = &bus;
        return 0;
}

static int teardown(void **state) {
        bus_stop(*state);
        return 0;
}

static void test_take_delivers_in_order_what_was_published(void **state) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_NEWEST);
        struct slipring_sample sample;
        struct message message;
        uint64_t i;

        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                         0);
        for (i = 1; i <= 100; i++) {
                publish(publisher, i);
                assert_int_equal(
                        slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                        1);
                assert_true(message_whole(&message));
                assert_int_equal(message.number, i);
                assert_int_equal(sample.sequence, i);
                assert_int_equal(sample.source_time_ns, i);
                assert_int_equal(sample.missed, 0);
                assert_int_equal(sample.epoch, 1);
                assert_int_equal(sample.payload_bytes, sizeof(message));
                assert_true(sample.publish_time_ns && sample.publish_time_ns <= slipring_now_ns());
                assert_int_equal(
                        slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                        0);
        }
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static int take(struct slipring_subscriber *subscriber,
                struct message *message,
                struct slipring_sample *sample) {
        return slipring_subscriber_take(subscriber, message, sizeof(*message), sample);
}

static void test_a_lapped_subscriber_counts_exactly_what_it_missed(void **state) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_subscriber_info info;
        struct slipring_sample sample;
        struct message message;
        uint64_t i;

        for (i = 1; i <= 10; i++) {
                publish(publisher, i);
        }
        /* Four slots hold 7 to 10. */
        assert_int_equal(take(subscriber, &message, &sample), 1);
        assert_int_equal(sample.sequence, 7);
        assert_int_equal(sample.missed, 6);
        for (i = 8; i <= 10; i++) {
                assert_int_equal(take(subscriber, &message, &sample), 1);
                assert_int_equal(message.number, i);
                assert_int_equal(sample.missed, 0);
        }
        assert_int_equal(take(subscriber, &message, &sample), 0);
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_int_equal(info.delivered, 4);
        assert_int_equal(info.missed, 6);
        assert_int_equal(info.sequence, 10);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static int
take_batch(struct slipring_subscriber *subscriber, struct message *messages, size_t capacity) {
        struct slipring_sample samples[DEEP];
        int r, i;

        r = slipring_subscriber_take_batch(subscriber, messages, capacity * sizeof(*messages),
                                           samples, capacity);
        for (i = 0; i < r; i++) {
                assert_true(message_whole(&messages[i]));
                assert_ptr_equal(samples[i].payload, &messages[i]);
                assert_int_equal(samples[i].sequence, messages[i].number);
                assert_int_equal(samples[i].source_time_ns, messages[i].number);
                assert_int_equal(samples[i].missed, 0);
        }
        return r;
}

/* More than one call of take may try: what is there is what there are tries for. */
static void test_a_batch_is_all_that_is_there_in_order(void **state) {
        struct slipring_publisher *publisher = publisher_open("deep");
        struct slipring_subscriber *subscriber = subscriber_open("deep", SLIPRING_START_NEXT);
        struct message messages[DEEP];
        uint64_t i;

        assert_int_equal(take_batch(subscriber, messages, DEEP), 0);
        for (i = 1; i <= 150; i++) {
                publish(publisher, i);
        }
        assert_int_equal(take_batch(subscriber, messages, 7), 7);
        assert_int_equal(messages[0].number, 1);
        assert_int_equal(messages[6].number, 7);
        assert_int_equal(take_batch(subscriber, messages, DEEP), 143);
        assert_int_equal(messages[0].number, 8);
        assert_int_equal(messages[142].number, 150);
        assert_int_equal(take_batch(subscriber, messages, DEEP), 0);
        publish(publisher, 151);
        /* The buffer may be what bounds it; and nobody need ask for more than the messages. */
        publish(publisher, 152);
        assert_int_equal(slipring_subscriber_take_batch(subscriber, messages,
                                                        2 * sizeof(*messages) - 1, NULL, DEEP),
                         1);
        assert_int_equal(messages[0].number, 151);
        assert_int_equal(slipring_subscriber_take_batch(subscriber, messages, sizeof(*messages) - 1,
                                                        NULL, DEEP),
                         -EMSGSIZE);
        assert_int_equal(
                slipring_subscriber_take_batch(subscriber, messages, sizeof(messages), NULL, 0),
                -EINVAL);
        assert_int_equal(take_batch(subscriber, messages, 1), 1);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void test_a_batch_counts_what_was_lost_before_it(void **state) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_subscriber_info info;
        struct slipring_sample samples[8];
        struct message messages[8];
        uint64_t i;

        for (i = 1; i <= 10; i++) {
                publish(publisher, i);
        }
        assert_int_equal(
                slipring_subscriber_take_batch(subscriber, messages, sizeof(messages), samples, 8),
                4);
        assert_int_equal(samples[0].sequence, 7);
        assert_int_equal(samples[0].missed, 6);
        assert_int_equal(samples[1].missed, 0);
        assert_int_equal(samples[3].sequence, 10);
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_int_equal(info.delivered, 4);
        assert_int_equal(info.missed, 6);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void test_a_batch_of_a_retired_topic_is_what_it_held(void **state) {
        struct topic_spec specs[] = {topic_of("imu", 8), topic_of("odom", 2)};
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_NEXT);
        struct slipring_sample sample;
        struct message messages[4];

        publish(publisher, 1);
        publish(publisher, 2);
        assert_int_equal(slipring_subscriber_borrow(subscriber, &sample), 1);
        assert_int_equal(take_batch(subscriber, messages, 4), -EBUSY);
        assert_int_equal(slipring_subscriber_release(subscriber), 0);
        bus_apply(*state, specs, 2);
        assert_int_equal(take_batch(subscriber, messages, 4), 1);
        assert_int_equal(messages[0].number, 2);
        assert_int_equal(take_batch(subscriber, messages, 4), -EIDRM);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static struct slipring_latency latency_of(const struct slipring_subscriber *subscriber) {
        struct slipring_latency latency = {0};

        assert_int_equal(slipring_subscriber_latency(subscriber, &latency), 0);
        return latency;
}

/* What each way of taking adds is bounded by a clock before and after. */
static void test_latency_is_from_publishing_to_each_way_of_taking(void **state) {
        static const struct timespec span = {.tv_nsec = 2000000};
        struct slipring_publisher *publisher = publisher_open("pinned");
        struct slipring_subscriber_options options = {.size = sizeof(options), .pins = 1};
        struct slipring_latency_bucket buckets[SLIPRING_LATENCY_BUCKETS];
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_sample sample, samples[2];
        struct message messages[2];
        struct slipring_latency latency;
        uint64_t least, most, sum = 0;
        int way, r = 0, i;

        assert_int_equal(slipring_subscriber_open(&subscriber, "pinned", &options, NULL), 0);
        assert_int_equal(slipring_subscriber_record_latency(subscriber, true), 0);
        for (way = 0; way < 6; way++) {
                assert_int_equal(slipring_subscriber_reset_latency(subscriber), 0);
                assert_int_equal(latency_of(subscriber).count, 0);
                publish(publisher, 1);
                least = slipring_now_ns();
                (void) nanosleep(&span, NULL);
                least = slipring_now_ns() - least;
                switch (way) {
                case 0:
                        r = take(subscriber, &messages[0], &sample);
                        break;
                case 1:
                        r = slipring_subscriber_take_newest(subscriber, &messages[0],
                                                            sizeof(messages[0]), &sample);
                        break;
                case 2:
                        r = slipring_subscriber_take_batch(subscriber, messages, sizeof(messages),
                                                           samples, 2);
                        sample = samples[0];
                        break;
                case 3:
                        r = slipring_subscriber_borrow(subscriber, &sample);
                        break;
                case 4:
                        r = slipring_subscriber_borrow_newest(subscriber, &sample);
                        break;
                default:
                        r = slipring_subscriber_pin(subscriber, &sample);
                        break;
                }
                most = slipring_now_ns() - sample.publish_time_ns;
                assert_int_equal(r, 1);
                latency = latency_of(subscriber);
                assert_int_equal(latency.count, 1);
                assert_in_range(latency.max_ns, least, most);
                assert_int_equal(latency.min_ns, latency.max_ns);
                assert_int_equal(latency.mean_ns, latency.max_ns);
                assert_int_equal(latency.p50_ns, latency.max_ns);
                if (way == 3 || way == 4) {
                        assert_int_equal(slipring_subscriber_release(subscriber), 0);
                } else if (way == 5) {
                        assert_int_equal(slipring_subscriber_unpin(subscriber, sample.payload), 0);
                }
                /* A call that found nothing, and the end of a view, count nothing. */
                assert_int_equal(take(subscriber, &messages[0], &sample), 0);
                assert_int_equal(latency_of(subscriber).count, 1);
        }
        assert_int_equal(slipring_subscriber_reset_latency(subscriber), 0);
        publish(publisher, 1);
        publish(publisher, 2);
        assert_int_equal(
                slipring_subscriber_take_batch(subscriber, messages, sizeof(messages), NULL, 2), 2);
        assert_int_equal(latency_of(subscriber).count, 2);
        r = slipring_subscriber_latency_buckets(subscriber, buckets, SLIPRING_LATENCY_BUCKETS);
        assert_in_range(r, 1, 2);
        for (i = 0; i < r; i++) {
                sum += buckets[i].count;
        }
        assert_int_equal(sum, 2);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void test_latency_is_counted_only_when_asked_for(void **state) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_NEWEST);
        struct slipring_latency_bucket bucket;
        struct slipring_waitset *waitset = NULL;
        struct slipring_latency latency;
        struct slipring_sample sample;
        struct message message;

        assert_int_equal(slipring_subscriber_latency(subscriber, &latency), -ENODATA);
        assert_int_equal(slipring_subscriber_latency_buckets(subscriber, &bucket, 1), -ENODATA);
        assert_int_equal(slipring_subscriber_reset_latency(subscriber), -ENODATA);
        assert_int_equal(slipring_subscriber_record_latency(subscriber, false), 0);
        publish(publisher, 1);
        assert_int_equal(take(subscriber, &message, &sample), 1);
        assert_int_equal(slipring_subscriber_record_latency(subscriber, true), 0);
        assert_int_equal(latency_of(subscriber).count, 0);
        publish(publisher, 2);
        assert_int_equal(take(subscriber, &message, &sample), 1);
        /* Once more changes nothing. */
        assert_int_equal(slipring_subscriber_record_latency(subscriber, true), 0);
        assert_int_equal(latency_of(subscriber).count, 1);
        /* In a wait set, and after it. */
        assert_int_equal(slipring_waitset_new(&waitset, NULL), 0);
        assert_int_equal(slipring_waitset_add(waitset, subscriber), 0);
        publish(publisher, 3);
        assert_int_equal(take(subscriber, &message, &sample), 1);
        slipring_waitset_close(waitset);
        publish(publisher, 4);
        assert_int_equal(take(subscriber, &message, &sample), 1);
        assert_int_equal(latency_of(subscriber).count, 3);
        /* Forgotten. */
        assert_int_equal(slipring_subscriber_record_latency(subscriber, false), 0);
        assert_int_equal(slipring_subscriber_latency(subscriber, &latency), -ENODATA);
        publish(publisher, 5);
        assert_int_equal(take(subscriber, &message, &sample), 1);
        assert_int_equal(slipring_subscriber_record_latency(subscriber, true), 0);
        assert_int_equal(latency_of(subscriber).count, 0);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void test_start_positions(void **state) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber *newest, *oldest, *next;
        struct slipring_sample sample;
        struct message message;
        uint64_t i;

        for (i = 1; i <= 6; i++) {
                publish(publisher, i);
        }
        newest = subscriber_open("imu", SLIPRING_START_NEWEST);
        oldest = subscriber_open("imu", SLIPRING_START_OLDEST);
        next = subscriber_open("imu", SLIPRING_START_NEXT);
        assert_int_equal(take(newest, &message, &sample), 1);
        assert_int_equal(sample.sequence, 6);
        assert_int_equal(sample.missed, 0);
        assert_int_equal(take(oldest, &message, &sample), 1);
        assert_int_equal(sample.sequence, 3);
        assert_int_equal(sample.missed, 0);
        assert_int_equal(take(next, &message, &sample), 0);
        publish(publisher, 7);
        assert_int_equal(take(next, &message, &sample), 1);
        assert_int_equal(sample.sequence, 7);
        slipring_subscriber_close(newest);
        slipring_subscriber_close(oldest);
        slipring_subscriber_close(next);
        slipring_publisher_close(publisher);
}

static void test_take_newest_passes_over_and_counts(void **state) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_sample sample;
        struct message message;

        publish(publisher, 1);
        publish(publisher, 2);
        publish(publisher, 3);
        assert_int_equal(
                slipring_subscriber_take_newest(subscriber, &message, sizeof(message), &sample), 1);
        assert_int_equal(message.number, 3);
        assert_int_equal(sample.missed, 2);
        assert_int_equal(
                slipring_subscriber_take_newest(subscriber, &message, sizeof(message), &sample), 0);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void test_a_loan_is_seen_when_committed_and_not_before(void **state) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_sample sample;
        struct message message;
        void *payload = NULL, *second = NULL;

        assert_int_equal(slipring_publisher_commit(publisher, 0), -EINVAL);
        assert_int_equal(slipring_publisher_abandon(publisher), -EINVAL);
        assert_int_equal(slipring_publisher_loan(publisher, &payload), 0);
        assert_int_equal((uintptr_t) payload % 64, 0);
        assert_int_equal(slipring_publisher_loan(publisher, &second), -EBUSY);
        message = message_make(1);
        assert_int_equal(slipring_publisher_publish(publisher, &message, sizeof(message), 0),
                         -EBUSY);
        memcpy(payload, &message, sizeof(message));
        assert_int_equal(take(subscriber, &message, &sample), 0);
        assert_int_equal(slipring_publisher_commit(publisher, 5), 0);
        assert_int_equal(take(subscriber, &message, &sample), 1);
        assert_int_equal(message.number, 1);
        assert_int_equal(sample.source_time_ns, 5);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void test_an_abandoned_loan_uses_up_no_number(void **state) {
        struct slipring_publisher *publisher = publisher_open("odom");
        struct slipring_subscriber *subscriber = subscriber_open("odom", SLIPRING_START_OLDEST);
        struct slipring_sample sample;
        struct message message;
        void *payload = NULL;

        publish(publisher, 1);
        publish(publisher, 2);
        assert_int_equal(slipring_publisher_loan(publisher, &payload), 0);
        assert_int_equal(slipring_publisher_abandon(publisher), 0);
        /* Depth 2: the loan cost sample 1; sample 2 is still there. */
        assert_int_equal(take(subscriber, &message, &sample), 1);
        assert_int_equal(sample.sequence, 2);
        assert_int_equal(sample.missed, 1);
        publish(publisher, 3);
        assert_int_equal(take(subscriber, &message, &sample), 1);
        assert_int_equal(sample.sequence, 3);
        assert_int_equal(message.number, 3);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void test_release_tells_whether_a_view_stayed_whole(void **state) {
        struct slipring_publisher *publisher = publisher_open("odom");
        struct slipring_subscriber *subscriber = subscriber_open("odom", SLIPRING_START_OLDEST);
        struct slipring_subscriber_info info;
        struct slipring_sample sample;
        struct message message;

        assert_int_equal(slipring_subscriber_release(subscriber), -EINVAL);
        assert_int_equal(slipring_subscriber_borrow(subscriber, &sample), 0);
        publish(publisher, 1);
        assert_int_equal(slipring_subscriber_borrow(subscriber, &sample), 1);
        assert_int_equal(sample.sequence, 1);
        assert_true(message_whole(sample.payload));
        assert_int_equal(slipring_subscriber_borrow(subscriber, &sample), -EBUSY);
        assert_int_equal(take(subscriber, &message, &sample), -EBUSY);
        assert_int_equal(slipring_subscriber_wait(subscriber, 0), -EBUSY);
        assert_int_equal(slipring_subscriber_release(subscriber), 0);

        publish(publisher, 2);
        assert_int_equal(slipring_subscriber_borrow(subscriber, &sample), 1);
        publish(publisher, 3);
        publish(publisher, 4);
        assert_int_equal(slipring_subscriber_release(subscriber), -ESTALE);
        assert_int_equal(slipring_subscriber_borrow_newest(subscriber, &sample), 1);
        assert_int_equal(sample.sequence, 4);
        assert_int_equal(sample.missed, 2);
        assert_int_equal(slipring_subscriber_release(subscriber), 0);
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_int_equal(info.delivered, 2);
        assert_int_equal(info.missed, 2);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

static void test_sizes_are_checked(void **state) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct message message = message_make(1);

        assert_int_equal(slipring_publisher_publish(publisher, &message, 63, 0), -EMSGSIZE);
        assert_int_equal(slipring_publisher_publish(publisher, &message, 65, 0), -EMSGSIZE);
        assert_int_equal(slipring_subscriber_take(subscriber, &message, 63, NULL), -EMSGSIZE);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

/* What every description of this user's topics is compared with. */
static void test_info_describes_the_topic(void **state) {
        struct slipring_publisher *publisher = publisher_open("imu");
        struct slipring_subscriber *subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        struct slipring_publisher_info writer;
        struct slipring_subscriber_info info;

        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_int_equal(info.publisher_pid, getpid());
        assert_int_equal(info.sequence, 0);
        assert_true(info.age_ns == UINT64_MAX);
        assert_false(info.stale);
        assert_true(info.rate_hz == 0);
        publish(publisher, 1);
        usleep(2000);
        publish(publisher, 2);
        usleep(2000);
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_true(info.age_ns >= 2000000 && info.age_ns != UINT64_MAX);
        assert_true(info.rate_hz > 0 && info.rate_hz <= 500);
        assert_int_equal(info.depth, 4);
        assert_int_equal(info.epoch, 1);
        /* The manager (this process), the publisher, the subscriber. */
        assert_int_equal(info.attached, 3);
        assert_int_equal(slipring_publisher_info(publisher, &writer), 0);
        assert_int_equal(writer.sequence, 2);
        assert_int_equal(writer.attached, 3);
        slipring_publisher_close(publisher);
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_int_equal(info.publisher_pid, 0);
        assert_string_equal(slipring_subscriber_type(subscriber)->name, message_type.name);
        assert_string_equal(slipring_subscriber_type(subscriber)->text, message_type.text);
        assert_int_equal(slipring_subscriber_type(subscriber)->field_count, 2);
        slipring_subscriber_close(subscriber);
}

static void test_a_topic_without_samples_within_its_deadline_is_stale(void **state) {
        struct topic_spec spec = topic_of("imu", 4);
        struct slipring_publisher *publisher;
        struct slipring_subscriber *subscriber;
        struct slipring_subscriber_info info;

        spec.deadline_ns = 1000000;
        spec.rate_hz = 1000;
        bus_apply(*state, &spec, 1);
        subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_true(info.stale);
        assert_true(info.nominal_rate_hz == 1000);
        publisher = publisher_open("imu");
        do {
                publish(publisher, 1);
                assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        } while (info.stale && info.age_ns > 1000000);
        assert_false(info.stale);
        usleep(1100);
        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        assert_true(info.stale);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

/* A struct with inner padding: what the publisher leaves there must not leave its process. */
struct padded {
        uint8_t flag;
        uint8_t pad0[7];
        double value;
};

static void test_padding_leaves_as_zeros(void **state) {
        static const struct slipring_field element[] = {
                {"items", "", SLIPRING_KIND_STRUCT, 3, 0, sizeof(struct padded), 1, 3},
                {"flag", "", SLIPRING_KIND_UINT8, 0, 0, 1, 0, 0},
                {"pad0", "", SLIPRING_KIND_UINT8, 7, 1, 1, 0, 0},
                {"value", "", SLIPRING_KIND_FLOAT64, 0, 8, 8, 0, 0},
        };
        static const struct slipring_type type = {
                .version = SLIPRING_TYPE_VERSION,
                .payload_bytes = 3 * sizeof(struct padded),
                .field_count = 4,
                .root_count = 1,
                .identity = {3},
                .name = "test_msgs/msg/Padded",
                .text = "",
                .fields = element,
        };
        struct topic_spec spec = topic_of("imu", 2);
        struct slipring_publisher *publisher;
        struct slipring_subscriber *subscriber;
        struct padded sent[3], got[3], zero = {0};
        void *payload = NULL;
        int i;

        spec.type = &type;
        bus_apply(*state, &spec, 1);
        publisher = publisher_open("imu");
        subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        memset(sent, 0xaa, sizeof(sent));
        assert_int_equal(slipring_publisher_publish(publisher, sent, sizeof(sent), 0), 0);
        assert_int_equal(slipring_publisher_loan(publisher, &payload), 0);
        memset(payload, 0xaa, sizeof(sent));
        assert_int_equal(slipring_publisher_commit(publisher, 0), 0);
        while (slipring_subscriber_take(subscriber, got, sizeof(got), NULL) == 1) {
                for (i = 0; i < 3; i++) {
                        assert_int_equal(got[i].flag, 0xaa);
                        assert_memory_equal(got[i].pad0, zero.pad0, 7);
                        assert_memory_equal(&got[i].value, &sent[i].value, 8);
                }
        }
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

/* Lengths and strings are written by the library, whatever the publisher leaves there. */
struct stamped {
        uint32_t frame_length;
        char frame[9];
        uint8_t pad0[3];
        uint32_t values_length;
        uint8_t pad1[4];
        double values[2];
};

static void test_constants_leave_as_they_are(void **state) {
        static const struct slipring_field fields[] = {
                {"frame", "", SLIPRING_KIND_LENGTH, 0, 0, 4, 9, 0},
                {"frame", "imu_link", SLIPRING_KIND_STRING, 9, 4, 1, 0, 0},
                {"pad0", "", SLIPRING_KIND_UINT8, 3, 13, 1, 0, 0},
                {"values", "", SLIPRING_KIND_LENGTH, 0, 16, 4, 2, 0},
                {"pad1", "", SLIPRING_KIND_UINT8, 4, 20, 1, 0, 0},
                {"values", "", SLIPRING_KIND_FLOAT64, 2, 24, 8, 0, 0},
        };
        static const struct slipring_type type = {
                .version = SLIPRING_TYPE_VERSION,
                .payload_bytes = sizeof(struct stamped),
                .field_count = 6,
                .root_count = 6,
                .identity = {4},
                .name = "test_msgs/msg/Stamped",
                .text = "",
                .fields = fields,
        };
        const struct stamped want = {9, "imu_link", {0}, 2, {0}, {1.5, -2}};
        struct topic_spec spec = topic_of("imu", 2);
        struct slipring_publisher *publisher;
        struct slipring_subscriber *subscriber;
        struct stamped sent, got;
        void *payload = NULL;
        int taken = 0;

        spec.type = &type;
        bus_apply(*state, &spec, 1);
        publisher = publisher_open("imu");
        subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        memset(&sent, 0xaa, sizeof(sent));
        memcpy(sent.values, want.values, sizeof(want.values));
        assert_int_equal(slipring_publisher_publish(publisher, &sent, sizeof(sent), 0), 0);
        assert_int_equal(slipring_publisher_loan(publisher, &payload), 0);
        memcpy(payload, &sent, sizeof(sent));
        assert_int_equal(slipring_publisher_commit(publisher, 0), 0);
        while (slipring_subscriber_take(subscriber, &got, sizeof(got), NULL) == 1) {
                assert_memory_equal(&got, &want, sizeof(got));
                taken++;
        }
        assert_int_equal(taken, 2);
        slipring_subscriber_close(subscriber);
        slipring_publisher_close(publisher);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_take_delivers_in_order_what_was_published),
                CASE(test_a_lapped_subscriber_counts_exactly_what_it_missed),
                CASE(test_a_batch_is_all_that_is_there_in_order),
                CASE(test_a_batch_counts_what_was_lost_before_it),
                CASE(test_a_batch_of_a_retired_topic_is_what_it_held),
                CASE(test_latency_is_from_publishing_to_each_way_of_taking),
                CASE(test_latency_is_counted_only_when_asked_for),
                CASE(test_start_positions),
                CASE(test_take_newest_passes_over_and_counts),
                CASE(test_a_loan_is_seen_when_committed_and_not_before),
                CASE(test_an_abandoned_loan_uses_up_no_number),
                CASE(test_release_tells_whether_a_view_stayed_whole),
                CASE(test_sizes_are_checked),
                CASE(test_info_describes_the_topic),
                CASE(test_a_topic_without_samples_within_its_deadline_is_stale),
                CASE(test_padding_leaves_as_zeros),
                CASE(test_constants_leave_as_they_are),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
