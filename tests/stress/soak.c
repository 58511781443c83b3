/*
 * The ends of a long replay, which test-soak puts a player and a recorder between. The bus is that
 * of SLIPRING_BUS; of the rover's topics all but the camera take part.
 *
 *   soak drive SECONDS PERIOD-US  publishes what the rover would in so many seconds, one step of
 *                                 5 ms each PERIOD-US
 *   soak learn TABLE              subscribes, and writes a hash of each sample to TABLE
 *   soak watch TABLE              subscribes, and compares: after what was learnt all of it comes
 *                                 again and again, each sample at its place
 *   soak check TABLE FILE...      does the same with recordings, in their order
 *
 * learn and watch end with SIGTERM, once they have what was published by then. All but drive print
 * what each topic had, as JSON; watch also tells now and then how far it is.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mcap/reader.h"
#include "rover.h"

#define STEPS_HZ 200u
#define LOOK_NS 1000000
#define TOLD_LOOKS 100
#define ENCAPSULATION_BYTES 4u
#define SAMPLES_MAX (1u << 20)

static const char *const names[] = {
        "imu/front", "imu/rear", "odometry", "battery", "arm/joint_states", "scan",
};

#define TOPICS (sizeof(names) / sizeof(*names))

/* What is known of a topic, and what came. */
struct track {
        uint64_t *hashes; /* of what was learnt, by place */
        uint64_t count;   /* of those */
        uint64_t last;    /* sequence of the last one that was learnt */

        uint64_t next; /* sequence that is due, 0: any */
        uint64_t seen, missed, wrong;
};

static struct track tracks[TOPICS];
static volatile sig_atomic_t stopping;

static void on_signal(int number) {
        (void) number;
        stopping = 1;
}

__attribute__((noreturn)) static void fail(const char *what, const char *why) {
        (void) fprintf(stderr, "soak: %s: %s\n", what, why);
        exit(1);
}

/* --- drive --- */

static double wave(uint64_t step, double seconds) {
        return sin((double) step / (STEPS_HZ * seconds));
}

static struct slipring_time stamp(uint64_t step) {
        return (struct slipring_time){
                .sec = 1700000000 + (int32_t) (step / STEPS_HZ),
                .nanosec = (uint32_t) (step % STEPS_HZ * (1000000000 / STEPS_HZ)),
        };
}

static struct rover_msgs_Imu imu(uint64_t step, double seconds) {
        return (struct rover_msgs_Imu){
                .stamp = stamp(step),
                .orientation = {.w = wave(step, seconds), .z = wave(step + STEPS_HZ, seconds)},
                .angular_velocity = {.x = wave(step, 0.3), .z = 0.1 * wave(step, 2)},
                .acceleration = {.x = wave(step, 0.7), .z = 9.81 + wave(step, 0.2)},
                .temperature = 25 + (float) wave(step, 60),
        };
}

static struct rover_msgs_ArmJointStates arm(uint64_t step) {
        struct rover_msgs_ArmJointStates message = {.stamp = stamp(step)};
        unsigned i;

        for (i = 0; i < 6; i++) {
                message.position[i] = wave(step, 1 + i);
                message.velocity[i] = wave(step + STEPS_HZ / 4, 1 + i) / (1 + i);
                message.effort[i] = (double) (step % 1000 * (i + 1)) / 1000;
                message.brake[i] = (step >> i) & 1;
        }
        return message;
}

/* Is one of so many a second due at this step? */
static bool due(uint64_t step, unsigned rate_hz) {
        return step * rate_hz / STEPS_HZ != (step + 1) * rate_hz / STEPS_HZ;
}

struct drivers {
        struct rover_imu_front_publisher front;
        struct rover_imu_rear_publisher rear;
        struct rover_odometry_publisher odometry;
        struct rover_battery_publisher battery;
        struct rover_arm_joint_states_publisher arm;
        struct rover_scan_publisher scan;
};

/* Counts the failures. */
static unsigned drive_step(const struct drivers *drivers, uint64_t step) {
        static struct rover_msgs_Scan scan = {
                .header = {.frame_id_length = 12, .frame_id = "laser_front"},
                .angle_min = -2.35f,
                .angle_max = 2.35f,
                .range_max = 30,
                .ranges_length = 1080,
                .intensities_length = 1080,
        };
        struct rover_msgs_Imu front = imu(step, 3), rear = imu(step, 5);
        unsigned failed = 0, i;

        failed += rover_imu_front_publish(drivers->front, &front) < 0;
        failed += rover_imu_rear_publish(drivers->rear, &rear) < 0;
        if (due(step, 100)) {
                struct rover_msgs_ArmJointStates message = arm(step);

                failed += rover_arm_joint_states_publish(drivers->arm, &message) < 0;
        }
        if (due(step, 50)) {
                struct rover_msgs_Odometry message = {
                        .stamp = stamp(step),
                        .position = {.x = wave(step, 20), .y = wave(step, 30)},
                        .orientation = {.w = 1},
                        .velocity = {.x = wave(step, 4)},
                };

                message.pose_covariance[step % 36] = 1;
                failed += rover_odometry_publish(drivers->odometry, &message) < 0;
        }
        if (due(step, 10)) {
                struct rover_msgs_Battery message = {
                        .voltage = 24 + (float) wave(step, 60),
                        .current = (float) wave(step, 3),
                        .charge = (float) (step % 100),
                        .state = 1,
                };

                failed += rover_battery_publish(drivers->battery, &message) < 0;
        }
        if (due(step, 15)) {
                scan.header.stamp = stamp(step);
                for (i = 0; i < 1080; i++) {
                        scan.ranges[i] = (float) ((step * 7 + i * 13) % 3000) / 100;
                        scan.intensities[i] = (float) ((step + i) % 255);
                }
                failed += rover_scan_publish(drivers->scan, &scan) < 0;
        }
        return failed;
}

static int drive(int argc, char **argv) {
        struct slipring_publisher_options options = {.deadline_ns = slipring_in_ms(60000)};
        struct drivers drivers = {0};
        struct slipring_error error = {0};
        uint64_t step, steps, period_ns, due_ns;
        unsigned failed = 0;

        if (argc != 2) {
                return 2;
        }
        steps = strtoull(argv[0], NULL, 10) * STEPS_HZ;
        period_ns = strtoull(argv[1], NULL, 10) * 1000;
        if (rover_imu_front_publisher_open(&drivers.front, &options, &error) < 0 ||
            rover_imu_rear_publisher_open(&drivers.rear, &options, &error) < 0 ||
            rover_odometry_publisher_open(&drivers.odometry, &options, &error) < 0 ||
            rover_battery_publisher_open(&drivers.battery, &options, &error) < 0 ||
            rover_arm_joint_states_publisher_open(&drivers.arm, &options, &error) < 0 ||
            rover_scan_publisher_open(&drivers.scan, &options, &error) < 0) {
                fail("drive", error.text);
        }
        due_ns = slipring_now_ns();
        for (step = 0; step < steps && failed == 0; step++) {
                struct timespec time;

                failed = drive_step(&drivers, step);
                due_ns += period_ns;
                time.tv_sec = (time_t) (due_ns / 1000000000);
                time.tv_nsec = (long) (due_ns % 1000000000);
                (void) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
        }
        rover_imu_front_publisher_close(&drivers.front);
        rover_imu_rear_publisher_close(&drivers.rear);
        rover_odometry_publisher_close(&drivers.odometry);
        rover_battery_publisher_close(&drivers.battery);
        rover_arm_joint_states_publisher_close(&drivers.arm);
        rover_scan_publisher_close(&drivers.scan);
        if (failed > 0) {
                fail("drive", "not published");
        }
        return 0;
}

/* --- what came --- */

/* FNV-1a. */
static uint64_t hash_of(const uint8_t *data, size_t bytes) {
        uint64_t hash = 0xcbf29ce484222325u;
        size_t i;

        for (i = 0; i < bytes; i++) {
                hash = (hash ^ data[i]) * 0x100000001b3u;
        }
        return hash;
}

static void
learn_sample(struct track *track, uint64_t sequence, const uint8_t *data, size_t bytes) {
        if (track->count == SAMPLES_MAX) {
                fail("learn", "too many samples");
        }
        if (!track->hashes) {
                track->hashes = calloc(SAMPLES_MAX, sizeof(*track->hashes));
        }
        if (!track->hashes) {
                fail("learn", "out of memory");
        }
        track->hashes[track->count++] = hash_of(data, bytes);
        track->last = sequence;
}

/* Is it the one whose turn it is? Gaps are counted, and what is beyond them has its place, too. */
static void
compare_sample(struct track *track, uint64_t sequence, const uint8_t *data, size_t bytes) {
        uint64_t place = (sequence - track->last - 1) % track->count;

        if (sequence <= track->last || (track->next && sequence < track->next)) {
                /* Old, or twice, or out of order. */
                track->wrong++;
                return;
        }
        track->missed += sequence - (track->next ? track->next : track->last + 1);
        track->next = sequence + 1;
        track->wrong += hash_of(data, bytes) != track->hashes[place];
}

static void
see(struct track *track, bool learning, uint64_t sequence, const uint8_t *data, size_t bytes) {
        track->seen++;
        if (learning) {
                learn_sample(track, sequence, data, bytes);
        } else {
                compare_sample(track, sequence, data, bytes);
        }
}

static void print_tracks(void) {
        size_t i;

        (void) putchar('{');
        for (i = 0; i < TOPICS; i++) {
                (void) printf("%s\"%s\": {\"seen\": %" PRIu64 ", \"missed\": %" PRIu64
                              ", \"wrong\": %" PRIu64 ", \"learnt\": %" PRIu64 "}",
                              i ? ", " : "", names[i], tracks[i].seen, tracks[i].missed,
                              tracks[i].wrong, tracks[i].count);
        }
        (void) puts("}");
}

/* What came so far, for who is not to be too far ahead of us. */
static void print_sums(void) {
        uint64_t seen = 0, missed = 0;
        size_t i;

        for (i = 0; i < TOPICS; i++) {
                seen += tracks[i].seen;
                missed += tracks[i].missed;
        }
        (void) printf("%" PRIu64 " samples, %" PRIu64 " missed\n", seen, missed);
        (void) fflush(stdout);
}

static void table_write(const char *path) {
        FILE *file = fopen(path, "we");
        size_t i;

        for (i = 0; file && i < TOPICS; i++) {
                (void) fwrite(&tracks[i].count, sizeof(tracks[i].count), 1, file);
                (void) fwrite(&tracks[i].last, sizeof(tracks[i].last), 1, file);
                (void) fwrite(tracks[i].hashes, sizeof(*tracks[i].hashes), tracks[i].count, file);
        }
        if (!file || fclose(file) != 0) {
                fail(path, strerror(errno));
        }
}

static void table_read(const char *path) {
        FILE *file = fopen(path, "re");
        size_t i;

        for (i = 0; file && i < TOPICS; i++) {
                if (fread(&tracks[i].count, sizeof(tracks[i].count), 1, file) != 1 ||
                    fread(&tracks[i].last, sizeof(tracks[i].last), 1, file) != 1 ||
                    tracks[i].count == 0 || tracks[i].count > SAMPLES_MAX) {
                        fail(path, "not a table");
                }
                tracks[i].hashes = calloc(tracks[i].count, sizeof(*tracks[i].hashes));
                if (!tracks[i].hashes || fread(tracks[i].hashes, sizeof(*tracks[i].hashes),
                                               tracks[i].count, file) != tracks[i].count) {
                        fail(path, "not a table");
                }
        }
        if (!file) {
                fail(path, strerror(errno));
        }
        (void) fclose(file);
}

/* All that is there of one topic. */
static void drain(struct slipring_subscriber *subscriber, struct track *track, bool learning) {
        static uint8_t buffer[65536];
        struct slipring_sample sample;
        int r;

        while ((r = slipring_subscriber_take(subscriber, buffer, sizeof(buffer), &sample)) == 1) {
                if (learning && sample.missed > 0) {
                        fail("learn", "samples were missed");
                }
                see(track, learning, sample.sequence, buffer,
                    slipring_subscriber_type(subscriber)->payload_bytes);
        }
        if (r < 0 && r != -EAGAIN) {
                fail("a topic", strerror(-r));
        }
}

static void follow(bool learning) {
        const struct timespec pause = {.tv_nsec = LOOK_NS};
        struct slipring_subscriber_options options = {
                .size = sizeof(options),
                .start = SLIPRING_START_NEXT,
        };
        struct slipring_subscriber *subscribers[TOPICS];
        struct slipring_error error = {0};
        unsigned looks = 0;
        bool last = false;
        size_t i;

        for (i = 0; i < TOPICS; i++) {
                if (slipring_subscriber_open(&subscribers[i], names[i], &options, &error) < 0) {
                        fail(names[i], error.text);
                }
        }
        (void) puts("following");
        (void) fflush(stdout);
        while (!last) {
                last = stopping;
                for (i = 0; i < TOPICS; i++) {
                        drain(subscribers[i], &tracks[i], learning);
                }
                if (!learning && looks++ % TOLD_LOOKS == 0) {
                        print_sums();
                }
                if (!last) {
                        (void) nanosleep(&pause, NULL);
                }
        }
        for (i = 0; i < TOPICS; i++) {
                slipring_subscriber_close(subscribers[i]);
        }
}

static int learn(int argc, char **argv) {
        if (argc != 1) {
                return 2;
        }
        follow(true);
        table_write(argv[0]);
        print_tracks();
        return 0;
}

static int watch(int argc, char **argv) {
        if (argc != 1) {
                return 2;
        }
        table_read(argv[0]);
        follow(false);
        print_tracks();
        return 0;
}

static struct track *track_of(const char *topic) {
        size_t i;

        for (i = 0; i < TOPICS; i++) {
                if (strcmp(names[i], topic + (*topic == '/')) == 0) {
                        return &tracks[i];
                }
        }
        fail(topic, "nobody published to it");
}

static void check_file(const char *path) {
        struct mcap_error error = {0};
        struct mcap_message message;
        struct mcap_reader *reader;
        int fd, r;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
                fail(path, strerror(errno));
        }
        if (mcap_reader_open(&reader, fd, path, 0, &error) < 0) {
                fail(path, error.text);
        }
        if (mcap_reader_summary(reader)->damage.code) {
                fail(path, mcap_reader_summary(reader)->damage.text);
        }
        while ((r = mcap_reader_next(reader, &message, &error)) == 1) {
                if (message.bytes < ENCAPSULATION_BYTES) {
                        fail(path, "a message without an encapsulation");
                }
                see(track_of(message.channel->topic), false, message.sequence,
                    message.data + ENCAPSULATION_BYTES, message.bytes - ENCAPSULATION_BYTES);
        }
        if (r < 0) {
                fail(path, error.text);
        }
        mcap_reader_close(reader);
        (void) close(fd);
}

/* Names of files from standard input as well, so that they can come one after the other. */
static int check(int argc, char **argv) {
        char line[4096];
        int i;

        if (argc < 1) {
                return 2;
        }
        table_read(argv[0]);
        for (i = 1; i < argc; i++) {
                check_file(argv[i]);
        }
        while (argc == 1 && fgets(line, sizeof(line), stdin)) {
                line[strcspn(line, "\n")] = 0;
                check_file(line);
                /* It is not needed any more. */
                (void) puts(line);
                (void) fflush(stdout);
        }
        print_tracks();
        return 0;
}

int main(int argc, char **argv) {
        static const struct {
                const char *name;
                int (*run)(int argc, char **argv);
        } verbs[] = {{"drive", drive}, {"learn", learn}, {"watch", watch}, {"check", check}};
        struct sigaction action = {.sa_handler = on_signal};
        int r = 2;
        size_t i;

        (void) sigaction(SIGTERM, &action, NULL);
        for (i = 0; argc > 1 && i < sizeof(verbs) / sizeof(*verbs); i++) {
                if (strcmp(argv[1], verbs[i].name) == 0) {
                        r = verbs[i].run(argc - 2, argv + 2);
                }
        }
        for (i = 0; i < TOPICS; i++) {
                free(tracks[i].hashes);
        }
        if (r == 2) {
                (void) fprintf(stderr, "usage: soak drive|learn|watch|check ...\n");
        }
        return r;
}
