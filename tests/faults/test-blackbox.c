/*
 * slipring blackbox: everything that used a bus is killed, its manager too, and what the rings
 * still hold is read: each sample is exactly what was published, in the order of time, and all that
 * is missing is accounted for. Nothing of the bus is changed by that, and the next manager adopts
 * it.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "tests/harness/command.h"
#include "tests/harness/daemon.h"

#define FIELDS "fields: {number: uint64, words: \"uint64[7]\"}"

/* Wrapped many times, not wrapped for some rounds, and the double buffer. */
#define FEEDS 3
#define ROUNDS_MAX 200

struct feed {
        const char *name;
        uint32_t depth;
        unsigned period_us;
};

static const struct feed feeds[FEEDS] = {
        {"fast", 64, 300},
        {"pair", 2, 700},
        {"slow", 64, 15000},
};

/* What a publisher wrote down of itself; it stays when it is killed. */
struct diary {
        _Atomic uint64_t begun, committed; /* sequences */
        uint64_t first[ROUNDS_MAX + 1];    /* each takeover's first sequence, by epoch */
        _Atomic int stop, stopped;
        pid_t pid;
};

static struct daemon bus;
static struct diary *diaries;

static void sleep_us(unsigned us) {
        struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L};

        (void) clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/* --- processes --- */

static uint64_t source_time(size_t feed, uint64_t sequence) {
        return 1000 * sequence + feed;
}

static int publish_one(struct slipring_publisher *publisher, size_t feed, uint64_t sequence) {
        struct message message = message_make(sequence);

        return slipring_publisher_publish(publisher, &message, sizeof(message),
                                          source_time(feed, sequence));
}

static int publisher_run(void *argument) {
        size_t feed = *(size_t *) argument;
        struct diary *diary = &diaries[feed];
        struct slipring_publisher *publisher = publisher_open(feeds[feed].name);
        struct slipring_publisher_info info;
        uint64_t sequence;

        if (slipring_publisher_info(publisher, &info) < 0 || info.epoch > ROUNDS_MAX) {
                return 1;
        }
        diary->first[info.epoch] = info.sequence + 1;
        for (sequence = info.sequence + 1; !atomic_load(&diary->stop); sequence++) {
                atomic_store(&diary->begun, sequence);
                if (publish_one(publisher, feed, sequence) < 0) {
                        return 2;
                }
                atomic_store(&diary->committed, sequence);
                sleep_us(feeds[feed].period_us);
        }
        /* Leaves the topic, and goes on with other things. */
        slipring_publisher_close(publisher);
        atomic_store(&diary->stopped, 1);
        (void) pause();
        return 0;
}

static void publisher_start(size_t feed) {
        uint64_t before = atomic_load(&diaries[feed].committed);

        diaries[feed].pid = process_start(publisher_run, &feed);
        while (atomic_load(&diaries[feed].committed) < before + 5) {
                sleep_us(1000);
        }
}

static int subscriber_run(void *argument) {
        struct slipring_subscriber *subscriber = subscriber_open(argument, SLIPRING_START_OLDEST);
        struct message message;
        int r;

        for (;;) {
                r = slipring_subscriber_take(subscriber, &message, sizeof(message), NULL);
                if (r == 0) {
                        r = slipring_subscriber_wait(subscriber, SLIPRING_FOREVER);
                }
                if (r < 0 && r != -EAGAIN) {
                        return 1;
                }
        }
}

/* All at once: nobody has time to notice another one's death. */
static void kill_all(const pid_t *pids, size_t count) {
        size_t i;

        for (i = 0; i < count; i++) {
                assert_int_equal(kill(pids[i], SIGKILL), 0);
        }
        for (i = 0; i < count; i++) {
                assert_int_equal(process_wait(pids[i]), 128 + SIGKILL);
        }
}

/* --- what blackbox printed --- */

struct sample {
        char topic[64];
        uint64_t sequence, time_ns, source_ns, missed;
        unsigned epoch;
        struct message message;
};

struct picture {
        struct command command;
        struct sample *samples;
        size_t count;
};

static bool sample_parse(const char *line, struct sample *sample) {
        struct message *message = &sample->message;
        uint64_t *words = message->words;

        return sscanf(line,
                      " {\"topic\": \"%63[^\"]\", \"sequence\": %" SCNu64
                      ", \"publish_time_ns\": %" SCNu64 ", \"source_time_ns\": %" SCNu64
                      ", \"epoch\": %u, \"missed\": %" SCNu64 ", \"message\": {\"number\": %" SCNu64
                      ", \"words\": [%" SCNu64 ", %" SCNu64 ", %" SCNu64 ", %" SCNu64 ", %" SCNu64
                      ", %" SCNu64 ", %" SCNu64 "]}}",
                      sample->topic, &sample->sequence, &sample->time_ns, &sample->source_ns,
                      &sample->epoch, &sample->missed, &message->number, &words[0], &words[1],
                      &words[2], &words[3], &words[4], &words[5], &words[6]) == 14;
}

/* Reads "samples", whose lines are a sample each. */
static void picture_parse(struct picture *picture) {
        const char *line = strstr(picture->command.out, "\"samples\": [");
        size_t room = 0;

        assert_non_null(line);
        while ((line = strchr(line, '\n')) && strncmp(line, "\n    {\"", 7) == 0) {
                if (picture->count == room) {
                        room = 2 * room + 64;
                        picture->samples = realloc(picture->samples, room * sizeof(struct sample));
                        assert_non_null(picture->samples);
                }
                line++;
                /* All of it: samples are compared as bytes. */
                memset(&picture->samples[picture->count], 0, sizeof(struct sample));
                assert_true(sample_parse(line, &picture->samples[picture->count++]));
        }
}

static void picture_take(struct picture *picture, const char *const *arguments) {
        *picture = (struct picture){0};
        command_start(&picture->command, arguments);
        command_finish(&picture->command);
        command_expect_code(&picture->command, 0);
        command_expect_err(&picture->command, "");
        command_expect_json(&picture->command, false);
        picture_parse(picture);
}

#define picture_of(picture, ...)                                                                   \
        picture_take((picture),                                                                    \
                     (const char *const[]){"blackbox", "--json" __VA_OPT__(, ) __VA_ARGS__, NULL})

static void picture_free(struct picture *picture) {
        command_free(&picture->command);
        free(picture->samples);
}

/* What stands behind a key, in the object of a topic or, without one, in the whole. */
static const char *value_of(const struct picture *picture, const char *topic, const char *key) {
        const char *at = picture->command.out;
        char text[96];

        if (topic) {
                (void) snprintf(text, sizeof(text), "\n      \"name\": \"%s\"", topic);
                at = strstr(at, text);
                assert_non_null(at);
                at++;
        }
        (void) snprintf(text, sizeof(text), "\n%s\"%s\": ", topic ? "      " : "  ", key);
        at = strstr(at, text);
        assert_non_null(at);
        return at + strlen(text);
}

/* 0 for null. */
static uint64_t number_of(const struct picture *picture, const char *topic, const char *key) {
        return strtoull(value_of(picture, topic, key), NULL, 10);
}

static void
expect_word(const struct picture *picture, const char *topic, const char *key, const char *value) {
        const char *is = value_of(picture, topic, key);

        if (strncmp(is, value, strlen(value)) != 0) {
                fail_msg("%s: %s is %.20s instead of %s", topic, key, is, value);
        }
}

/* --- checks --- */

static void check_order(const struct picture *picture) {
        size_t i;

        for (i = 1; i < picture->count; i++) {
                assert_true(picture->samples[i].time_ns >= picture->samples[i - 1].time_ns);
        }
}

static unsigned epoch_of(const struct diary *diary, uint64_t sequence) {
        unsigned epoch = ROUNDS_MAX;

        while (epoch > 1 && (!diary->first[epoch] || diary->first[epoch] > sequence)) {
                epoch--;
        }
        return epoch;
}

/* Every sample of a feed is what was published under its number, and none is left out. Returns how
 * many there are. */
static uint64_t check_samples(const struct picture *picture, size_t feed, uint64_t first) {
        const struct sample *sample;
        uint64_t next = first;
        size_t i;

        for (i = 0; i < picture->count; i++) {
                sample = &picture->samples[i];
                if (strcmp(sample->topic, feeds[feed].name) != 0) {
                        continue;
                }
                assert_int_equal(sample->sequence, next);
                assert_int_equal(sample->message.number, next);
                assert_true(message_whole(&sample->message));
                assert_int_equal(sample->source_ns, source_time(feed, next));
                assert_int_equal(sample->epoch, epoch_of(&diaries[feed], next));
                assert_int_equal(sample->missed, 0);
                next++;
        }
        return next - first;
}

/* The dead publisher's diary against the box. */
static void check_feed(const struct picture *picture, size_t feed) {
        const struct diary *diary = &diaries[feed];
        const char *name = feeds[feed].name;
        uint64_t published = number_of(picture, name, "published");
        uint64_t half = number_of(picture, name, "half_written");
        uint64_t held = published < feeds[feed].depth ? published : feeds[feed].depth;

        /* Between the last one it knew committed and the last one it began. */
        assert_in_range(published, diary->committed, diary->begun);
        if (half) {
                assert_int_equal(half, published + 1);
                assert_int_equal(half, diary->begun);
                held -= published >= feeds[feed].depth;
        }
        assert_int_equal(number_of(picture, name, "held"), held);
        assert_int_equal(number_of(picture, name, "shown"), held);
        assert_int_equal(number_of(picture, name, "overwritten"), published - held);
        assert_int_equal(number_of(picture, name, "damaged"), 0);
        assert_int_equal(number_of(picture, name, "overtaken"), 0);
        assert_int_equal(check_samples(picture, feed, published - held + 1), held);
        expect_word(picture, name, "publisher", "\"dead\"");
        assert_int_equal(number_of(picture, name, "publisher_pid"), diary->pid);
}

/* The same samples in the same order as text, and the same numbers in its table. */
static void check_text(const struct picture *picture) {
        uint64_t sequence, newest = number_of(picture, NULL, "newest_publish_time_ns");
        const char *line;
        struct command command;
        double seconds;
        char topic[64];
        size_t i;

        command_run(&command, "blackbox", "--flow-style");
        command_expect_code(&command, 0);
        command_expect_err(&command, "");
        line = command.out;
        for (i = 0; i < picture->count; i++) {
                const struct sample *sample = &picture->samples[i];

                assert_int_equal(sscanf(line, "# %*u:%*u:%*u.%*6u %lf s %63s %" SCNu64, &seconds,
                                        topic, &sequence),
                                 3);
                assert_string_equal(topic, sample->topic);
                assert_int_equal(sequence, sample->sequence);
                assert_true((int64_t) (seconds * -1e9) - (int64_t) (newest - sample->time_ns) <
                                    1000 &&
                            seconds <= 0);
                line = strchr(line, '\n') + 1;
                assert_int_equal(sscanf(line, "{number: %" SCNu64 ", words: [", &sequence), 1);
                assert_int_equal(sequence, sample->message.number);
                line = strchr(line, '\n') + 1;
                assert_int_equal(strncmp(line, "---\n", 4), 0);
                line += 4;
        }
        assert_int_equal(strncmp(line, "# bus ", 6), 0);
        for (i = 0; i < FEEDS; i++) {
                char row[160];

                (void) snprintf(row, sizeof(row), "\n# %s ", feeds[i].name);
                line = strstr(command.out, row);
                assert_non_null(line);
                assert_int_equal(strcspn(strstr(line, " dead ") + 1, "\n") > 0, 1);
                (void) snprintf(row, sizeof(row), " %d dead ", (int) diaries[i].pid);
                assert_non_null(strstr(line, row));
        }
        command_free(&command);
}

/* --- is anything changed by looking? --- */

static uint64_t hash(uint64_t sum, const void *data, size_t bytes) {
        const unsigned char *at = data;

        while (bytes-- > 0) {
                sum = (sum ^ *at++) * UINT64_C(0x100000001b3);
        }
        return sum;
}

/* Bytes, and of what the kernel keeps all but the time and process of the last attach. */
static uint64_t hash_segment(uint64_t sum, int id) {
        struct shmid_ds status;
        const void *address = shmat(id, NULL, SHM_RDONLY);

        assert_true(address != (void *) -1);
        assert_int_equal(shmctl(id, IPC_STAT, &status), 0);
        /* This one is ours. */
        assert_int_equal(status.shm_nattch, 1);
        sum = hash(sum, address, status.shm_segsz);
        sum = hash(sum, &status.shm_perm.mode, sizeof(status.shm_perm.mode));
        assert_int_equal(shmdt(address), 0);
        return sum;
}

static uint64_t hash_claim(uint64_t sum, int id) {
        struct semid_ds status = {0};
        int values[2] = {semctl(id, 0, GETVAL), semctl(id, 0, GETPID)};

        assert_true(values[0] >= 0 && values[1] >= 0);
        assert_int_equal(semctl(id, 0, IPC_STAT, &status), 0);
        sum = hash(sum, &status.sem_otime, sizeof(status.sem_otime));
        sum = hash(sum, &status.sem_ctime, sizeof(status.sem_ctime));
        return hash(sum, values, sizeof(values));
}

static uint64_t hash_bus(void) {
        uint64_t sum = UINT64_C(0xcbf29ce484222325);
        size_t i;

        for (i = 0; i < FEEDS; i++) {
                struct layout_entry entry = daemon_entry(&bus, feeds[i].name);

                sum = hash_segment(sum, entry.data_id);
                sum = hash_segment(sum, entry.board_id);
                sum = hash_claim(sum, entry.claim_id);
        }
        return hash_segment(sum, shmget(directory_key(bus.user, bus.bus), 0, 0));
}

/* --- everything dies --- */

static void feeds_schema(void) {
        char text[512];
        int length = snprintf(text, sizeof(text), "topics:\n");
        size_t i;

        for (i = 0; i < FEEDS; i++) {
                length +=
                        snprintf(text + length, sizeof(text) - (size_t) length,
                                 "  %s: {depth: %u, " FIELDS "}\n", feeds[i].name, feeds[i].depth);
        }
        daemon_schema(&bus, text);
        memset(diaries, 0, FEEDS * sizeof(*diaries));
}

static void crash(void) {
        pid_t pids[3 + FEEDS];
        size_t i;

        for (i = 0; i < FEEDS; i++) {
                publisher_start(i);
                pids[i] = diaries[i].pid;
        }
        pids[FEEDS] = process_start(subscriber_run, (void *) (uintptr_t) "fast");
        pids[FEEDS + 1] = process_start(subscriber_run, (void *) (uintptr_t) "slow");
        pids[FEEDS + 2] = bus.pid;
        sleep_us(30000 + (unsigned) rand() % 5000);
        bus.pid = 0;
        kill_all(pids, 3 + FEEDS);
}

static void look_after_crash(unsigned *halves) {
        uint64_t sum = hash_bus();
        size_t objects = ipc_objects(), i;
        struct picture picture;

        picture_of(&picture);
        assert_int_equal(number_of(&picture, NULL, "manager_pid"), 0);
        check_order(&picture);
        for (i = 0; i < FEEDS; i++) {
                check_feed(&picture, i);
                *halves += number_of(&picture, feeds[i].name, "half_written") > 0;
        }
        check_text(&picture);
        assert_int_equal(hash_bus(), sum);
        assert_int_equal(ipc_objects(), objects);
        picture_free(&picture);
}

static void test_what_the_dead_published_is_all_there(void **state) {
        unsigned rounds = harness_long() ? ROUNDS_MAX : 12, round, halves = 0;
        struct command command;
        int ids[FEEDS];
        size_t i;

        daemon_setup(&bus);
        feeds_schema();
        for (round = 1; round <= rounds; round++) {
                /* The first one makes the bus, the others adopt it. */
                daemon_start(&bus, NULL);
                for (i = 0; i < FEEDS; i++) {
                        int id = daemon_entry(&bus, feeds[i].name).data_id;

                        assert_true(round == 1 || id == ids[i]);
                        ids[i] = id;
                }
                crash();
                look_after_crash(&halves);
        }
        print_message("%u crashes of everything; %" PRIu64 " samples published, %u half-written\n",
                      rounds, atomic_load(&diaries[0].committed), halves);
        command_run(&command, "down");
        command_expect_code(&command, 0);
        command_free(&command);
        command_run(&command, "blackbox");
        command_expect_code(&command, 1);
        command_expect_out(&command, "");
        command_expect_err_has(&command, "there is no bus");
        command_free(&command);
        daemon_teardown(&bus);
}

/* A manager that adopts the bus changes nothing that the box shows. */
static void test_adoption_loses_nothing(void **state) {
        struct picture before, after;
        size_t i;

        daemon_setup(&bus);
        feeds_schema();
        daemon_start(&bus, NULL);
        crash();
        picture_of(&before);
        daemon_start(&bus, NULL);
        picture_of(&after);
        assert_int_equal(number_of(&after, NULL, "manager_pid"), bus.pid);
        assert_int_equal(before.count, after.count);
        assert_memory_equal(before.samples, after.samples, before.count * sizeof(struct sample));
        for (i = 0; i < FEEDS; i++) {
                check_feed(&after, i);
        }
        picture_free(&before);
        picture_free(&after);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_teardown(&bus);
}

/* --- killed in the middle of a sample --- */

#define BEFORE 5

static int stepped_run(void *argument) {
        struct slipring_publisher *publisher = publisher_open("imu");
        uint64_t sequence;

        for (sequence = 1; sequence <= BEFORE; sequence++) {
                if (publish_one(publisher, 0, sequence) < 0) {
                        return 1;
                }
        }
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 || raise(SIGSTOP) != 0) {
                return 2;
        }
        return publish_one(publisher, 0, BEFORE + 1) < 0 ? 3 : 4;
}

static void step(pid_t pid) {
        int status;

        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0) {
                /* 32-bit Arm has no single step. */
                assert_int_equal(errno, EIO);
                print_message("this machine cannot step: skipped\n");
                exit(77);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
}

/* Kills a publisher some instructions after its sixth sample's slot has come to this. */
static pid_t kill_where(enum ring_rest wanted, unsigned more) {
        struct layout_entry entry = daemon_entry(&bus, "imu");
        struct topic topic;
        pid_t pid = process_start(stepped_run, NULL);
        int status;

        assert_int_equal(topic_examine(&topic, &entry, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
        assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL), 0);
        while (ring_rest(&topic.ring, BEFORE) != wanted) {
                step(pid);
        }
        while (more-- > 0) {
                step(pid);
        }
        assert_int_equal(ring_rest(&topic.ring, BEFORE), wanted);
        assert_int_equal(atomic_load(&topic.ring.words->head), BEFORE);
        process_kill(pid);
        topic_detach(&topic);
        return pid;
}

static void imu_setup(const char *text) {
        daemon_setup(&bus);
        daemon_schema(&bus, text);
        daemon_start(&bus, NULL);
}

/* What a dead manager left. */
static void imu_teardown(void) {
        struct command command;

        command_run(&command, "down");
        command_expect_code(&command, 0);
        command_free(&command);
        daemon_teardown(&bus);
}

static void expect_imu(const struct picture *picture, uint64_t first, uint64_t last) {
        uint64_t i;

        assert_int_equal(picture->count, last - first + 1);
        for (i = 0; i < picture->count; i++) {
                assert_int_equal(picture->samples[i].sequence, first + i);
                assert_int_equal(picture->samples[i].message.number, first + i);
                assert_true(message_whole(&picture->samples[i].message));
        }
}

static void test_a_half_written_sample_is_named_and_not_shown(void **state) {
        struct command command;
        struct picture picture;
        pid_t pid;

        imu_setup("topics:\n  imu: {depth: 3, " FIELDS "}\n");
        pid = kill_where(RING_REST_HALF, 5);
        daemon_kill(&bus);
        picture_of(&picture);
        /* 3 was in the slot that 6 was being written into. */
        expect_imu(&picture, 4, 5);
        assert_int_equal(number_of(&picture, "imu", "published"), 5);
        assert_int_equal(number_of(&picture, "imu", "half_written"), 6);
        assert_int_equal(number_of(&picture, "imu", "held"), 2);
        assert_int_equal(number_of(&picture, "imu", "overwritten"), 3);
        expect_word(&picture, "imu", "unannounced", "null");
        expect_word(&picture, "imu", "publisher", "\"dead\"");
        assert_int_equal(number_of(&picture, "imu", "publisher_pid"), pid);
        picture_free(&picture);
        command_run(&command, "blackbox");
        command_expect_code(&command, 0);
        command_expect_out_has(&command, "# imu: sample 6 was begun and not finished: not shown\n");
        command_expect_out_lacks(&command, "imu  6\n");
        command_expect_out_lacks(&command, "imu  3\n");
        command_free(&command);
        imu_teardown();
}

static void test_a_finished_sample_is_shown_though_nobody_was_told(void **state) {
        struct command command;
        struct picture picture;

        imu_setup("topics:\n  imu: {depth: 3, " FIELDS "}\n");
        (void) kill_where(RING_REST_WHOLE, 0);
        daemon_kill(&bus);
        picture_of(&picture);
        expect_imu(&picture, 4, 6);
        assert_int_equal(number_of(&picture, "imu", "published"), 6);
        assert_int_equal(number_of(&picture, "imu", "unannounced"), 6);
        expect_word(&picture, "imu", "half_written", "null");
        picture_free(&picture);
        command_run(&command, "blackbox");
        command_expect_out_has(&command, "# imu: sample 6 is whole, but its publisher ended before "
                                         "it told subscribers\n");
        command_free(&command);
        imu_teardown();
}

static int loan_run(void *argument) {
        struct slipring_publisher *publisher = publisher_open("imu");
        void *payload;

        if (publish_one(publisher, 0, 1) < 0 || publish_one(publisher, 0, 2) < 0 ||
            slipring_publisher_loan(publisher, &payload) < 0) {
                return 1;
        }
        memset(payload, 0xee, sizeof(struct message) / 2);
        (void) raise(SIGKILL);
        return 2;
}

static void test_a_loan_of_the_dead_is_half_a_sample(void **state) {
        struct picture picture;

        imu_setup("topics:\n  imu: {depth: 2, " FIELDS "}\n");
        assert_int_equal(process_wait(process_start(loan_run, NULL)), 128 + SIGKILL);
        daemon_kill(&bus);
        picture_of(&picture);
        expect_imu(&picture, 2, 2);
        assert_int_equal(number_of(&picture, "imu", "half_written"), 3);
        picture_free(&picture);
        imu_teardown();
}

/* --- who published --- */

static int few_run(void *argument) {
        struct slipring_publisher *publisher = publisher_open("imu");

        return publish_one(publisher, 0, 1) < 0;
}

static int idle_run(void *argument) {
        (void) pause();
        return 0;
}

static void expect_publisher(const char *word, pid_t pid) {
        struct picture picture;
        char text[32];

        (void) snprintf(text, sizeof(text), "\"%s\"", word);
        picture_of(&picture);
        expect_word(&picture, "imu", "publisher", text);
        assert_int_equal(number_of(&picture, "imu", "publisher_pid"), pid);
        picture_free(&picture);
}

/* A process of that number, perhaps: others may take it first. */
static pid_t process_with_number(pid_t wanted) {
        char text[32];
        pid_t pid;
        int i, fd, length;

        for (i = 0; i < 100; i++) {
                fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
                length = snprintf(text, sizeof(text), "%d", (int) wanted - 1);
                if (fd < 0 || write(fd, text, (size_t) length) != length) {
                        (void) (fd >= 0 && close(fd));
                        return 0;
                }
                (void) close(fd);
                pid = process_start(idle_run, NULL);
                if (pid == wanted) {
                        return pid;
                }
                process_kill(pid);
        }
        return 0;
}

static void test_publishers_are_alive_or_left_or_dead(void **state) {
        siginfo_t ended;
        pid_t pid, other;
        size_t feed = 0;

        memset(diaries, 0, FEEDS * sizeof(*diaries));
        imu_setup("topics:\n  imu: {depth: 4, " FIELDS "}\n  fast: {depth: 64, " FIELDS "}\n");
        expect_publisher("none", 0);
        pid = process_start(few_run, NULL);
        /* A zombie: its parent has not looked yet. */
        assert_int_equal(waitid(P_PID, (id_t) pid, &ended, WEXITED | WNOWAIT), 0);
        expect_publisher("dead", pid);
        assert_int_equal(process_wait(pid), 0);
        expect_publisher("dead", pid);
        /* Processes begin at ticks of the clock. */
        sleep_us(30000);
        other = process_with_number(pid);
        if (other) {
                expect_publisher("dead", pid);
                process_kill(other);
        } else {
                print_message("no process could be given the number of another: not looked at\n");
        }
        publisher_start(feed);
        {
                struct picture picture;

                picture_of(&picture);
                expect_word(&picture, "fast", "publisher", "\"alive\"");
                picture_free(&picture);
                atomic_store(&diaries[feed].stop, 1);
                while (!atomic_load(&diaries[feed].stopped)) {
                        sleep_us(1000);
                }
                picture_of(&picture);
                expect_word(&picture, "fast", "publisher", "\"left\"");
                assert_int_equal(number_of(&picture, "fast", "publisher_pid"), diaries[feed].pid);
                picture_free(&picture);
        }
        process_kill(diaries[feed].pid);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_teardown(&bus);
}

static int silent_run(void *argument) {
        (void) publisher_open("imu");
        return 0;
}

static void test_who_took_over_in_vain_is_named(void **state) {
        struct command command;
        char text[80];
        pid_t pid;

        imu_setup("topics:\n  imu: {depth: 4, " FIELDS "}\n");
        assert_int_equal(process_wait(process_start(few_run, NULL)), 0);
        pid = process_start(silent_run, NULL);
        assert_int_equal(process_wait(pid), 0);
        command_run(&command, "blackbox");
        command_expect_code(&command, 0);
        (void) snprintf(text, sizeof(text), "# imu: publisher %d took over and published nothing\n",
                        (int) pid);
        command_expect_out_has(&command, text);
        command_free(&command);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_teardown(&bus);
}

/* --- a bus that lives --- */

static void check_live(const struct picture *picture, size_t feed) {
        const char *name = feeds[feed].name;
        uint64_t published = number_of(picture, name, "published");
        uint64_t held = number_of(picture, name, "held"), count = 0, last = 0;
        size_t i;

        for (i = 0; i < picture->count; i++) {
                const struct sample *sample = &picture->samples[i];

                if (strcmp(sample->topic, name) == 0) {
                        assert_true(message_whole(&sample->message));
                        assert_int_equal(sample->message.number, sample->sequence);
                        assert_int_equal(sample->missed, last ? sample->sequence - last - 1 : 0);
                        last = sample->sequence;
                        count++;
                }
        }
        assert_true(held <= feeds[feed].depth && last <= published);
        assert_int_equal(number_of(picture, name, "shown"), count);
        assert_int_equal(count + number_of(picture, name, "overtaken"), held);
        assert_int_equal(number_of(picture, name, "overwritten") + held, published);
        assert_int_equal(number_of(picture, name, "damaged"), 0);
        expect_word(picture, name, "publisher", "\"alive\"");
}

static void test_a_bus_that_lives_is_read_too(void **state) {
        unsigned rounds = harness_long() ? 500 : 15, round;
        uint64_t overtaken = 0;
        struct picture picture;
        size_t i;

        daemon_setup(&bus);
        feeds_schema();
        daemon_start(&bus, NULL);
        for (i = 0; i < FEEDS; i++) {
                publisher_start(i);
        }
        for (round = 0; round < rounds; round++) {
                picture_of(&picture);
                check_order(&picture);
                for (i = 0; i < FEEDS; i++) {
                        check_live(&picture, i);
                        overtaken += number_of(&picture, feeds[i].name, "overtaken");
                }
                picture_free(&picture);
        }
        print_message("%u looks at a live bus: %" PRIu64 " samples overtaken before they were "
                      "printed, all counted\n",
                      rounds, overtaken);
        for (i = 0; i < FEEDS; i++) {
                process_kill(diaries[i].pid);
        }
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_teardown(&bus);
}

/* --- what is asked for --- */

static int spread_run(void *argument) {
        struct slipring_publisher *imu = publisher_open("imu"), *gps = publisher_open("nav/gps");
        uint64_t sequence;

        if (publish_one(gps, 1, 1) < 0) {
                return 1;
        }
        for (sequence = 1; sequence <= 6; sequence++) {
                sleep_us(20000);
                if (publish_one(imu, 0, sequence) < 0) {
                        return 2;
                }
        }
        return 0;
}

static size_t count_since(const struct picture *all, uint64_t since_ns) {
        uint64_t newest = all->samples[all->count - 1].time_ns;
        size_t count = 0, i;

        for (i = 0; i < all->count; i++) {
                count += all->samples[i].time_ns >= newest - since_ns;
        }
        return count;
}

static void expect_count(size_t count, const char *const *arguments) {
        struct picture picture;

        picture_take(&picture, arguments);
        assert_int_equal(picture.count, count);
        picture_free(&picture);
}

#define expect_samples(count, ...)                                                                 \
        expect_count((count), (const char *const[]){"blackbox", "--json", __VA_ARGS__, NULL})

static void test_since_counts_from_the_newest_sample_of_the_bus(void **state) {
        struct picture all, one;
        char since[32];

        imu_setup("topics:\n  imu: {depth: 8, " FIELDS "}\n  nav/gps: {depth: 8, " FIELDS "}\n");
        assert_int_equal(process_wait(process_start(spread_run, NULL)), 0);
        daemon_kill(&bus);
        picture_of(&all);
        assert_int_equal(all.count, 7);
        assert_string_equal(all.samples[0].topic, "nav/gps");
        /* Now is later: by the clock of now there would be nothing. */
        sleep_us(60000);
        expect_samples(count_since(&all, 50000000), "--since", "50ms");
        expect_samples(count_since(&all, 50000000), "--since=0.05 s", "imu", "nav/gps");
        expect_samples(7, "--since", "1h");
        expect_samples(6, "imu");
        expect_samples(6, "--since", "1h", "/imu", "imu");
        /* The distance of the oldest, to the nanosecond, and one less. */
        (void) snprintf(since, sizeof(since), "%" PRIu64 "ns",
                        all.samples[6].time_ns - all.samples[0].time_ns);
        expect_samples(7, "--since", since);
        expect_samples(1, "--since", since, "nav/gps");
        (void) snprintf(since, sizeof(since), "%" PRIu64 "ns",
                        all.samples[6].time_ns - all.samples[0].time_ns - 1);
        expect_samples(6, "--since", since);
        /* Silent long before the others: not in that time, also if nothing else is asked for. */
        picture_of(&one, "--since", since, "nav/gps");
        assert_int_equal(one.count, 0);
        assert_int_equal(number_of(&one, "nav/gps", "held"), 1);
        assert_int_equal(number_of(&one, NULL, "newest_publish_time_ns"), all.samples[6].time_ns);
        assert_null(strstr(one.command.out, "\"name\": \"imu\""));
        picture_free(&one);
        picture_free(&all);
        imu_teardown();
}

static void test_samples_look_as_echo_shows_them(void **state) {
        struct command command;
        char *text;

        imu_setup("topics:\n  imu: {depth: 8, fields: {number: uint64, words: \"uint64[7]\"}}\n");
        assert_int_equal(process_wait(process_start(few_run, NULL)), 0);
        command_run(&command, "echo", "imu", "--once", "-l", "2");
        text = strdup(command.out);
        command_free(&command);
        command_run(&command, "blackbox", "-l", "2");
        command_expect_out_has(&command, text);
        command_expect_out_has(&command, "  imu  1\nnumber: 1\nwords:\n");
        command_free(&command);
        free(text);
        command_run(&command, "echo", "imu", "--once", "--json");
        command.out[strcspn(command.out, "\n")] = '\0';
        text = strdup(command.out);
        command_free(&command);
        command_run(&command, "blackbox", "--json");
        command_expect_out_has(&command, text);
        command_free(&command);
        free(text);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_teardown(&bus);
}

static void expect_refused(const char *text, int code, const char *const *arguments) {
        struct command command;

        command_start(&command, arguments);
        command_finish(&command);
        command_expect_code(&command, code);
        command_expect_out(&command, "");
        command_expect_err_has(&command, text);
        command_free(&command);
}

#define refused(text, code, ...)                                                                   \
        expect_refused((text), (code), (const char *const[]){"blackbox", __VA_ARGS__, NULL})

static void test_wrong_words_are_refused(void **state) {
        static const char *const spans[] = {"2", "-1s", "0s", "soon", "", "2 days", "99999999999s"};
        struct command command;
        char text[64];
        size_t i;

        imu_setup("topics:\n  imu: {depth: 2, " FIELDS "}\n");
        for (i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
                (void) snprintf(text, sizeof(text), "--since %s: must be a span of time", spans[i]);
                refused(text, 2, "--since", spans[i]);
        }
        refused("exclude each other", 2, "--json", "--flow-style");
        refused("did you mean '--since'", 2, "--sinse", "2s");
        refused("did you mean 'imu'?", 1, "imo");
        refused("has no topic 'imu/'", 1, "imu", "imu/");
        refused("there is no bus 'no_such'", 1, "-b", "no_such");
        refused("'No' is no bus name", 2, "-b", "No");
        /* A bus without samples is no mistake. */
        command_run(&command, "blackbox");
        command_expect_code(&command, 0);
        command_expect_err(&command, "");
        command_expect_out_has(&command, ": no sample; managed by ");
        command_free(&command);
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_teardown(&bus);
        /* Nothing runs, and there is no bus at all. */
        refused("there is no bus", 1, "--json");
        if (ipc_objects() == 0) {
                assert_int_equal(unsetenv("SLIPRING_BUS"), 0);
                refused("there is no bus", 1, NULL);
        }
}

/* --- what others may not read, and what is broken --- */

static void test_a_reader_of_some_topics_is_told_of_the_others(void **state) {
        const struct user stranger = {USER_STRANGER, USER_STRANGER, 0};
        struct command command;

        if (geteuid() != 0) {
                print_message("SKIPPED: only root can become other users\n");
                skip();
        }
        imu_setup("topics:\n  imu: {depth: 8, mode: \"0600\", " FIELDS "}\n"
                  "  nav/gps: {depth: 8, mode: \"0644\", " FIELDS "}\n");
        assert_int_equal(process_wait(process_start(spread_run, NULL)), 0);
        daemon_kill(&bus);
        command_start_user(&command, &stranger, (const char *const[]){"blackbox", NULL});
        command_finish(&command);
        if (command.code == 127) {
                print_message("SKIPPED: other users cannot reach the build directory\n");
                skip();
        }
        command_expect_code(&command, 0);
        command_expect_out_has(&command, "  nav/gps  1\n");
        command_expect_out_lacks(&command, "  imu  ");
        command_expect_out_has(&command, "# imu      cannot be read ");
        command_expect_out_has(&command, "\n# imu: topic 'imu'");
        command_expect_err_has(&command, "1 of 2 topics cannot be read by this user");
        command_free(&command);
        command_start_user(&command, &stranger,
                           (const char *const[]){"blackbox", "--json", "imu", NULL});
        command_finish(&command);
        command_expect_code(&command, 1);
        command_expect_json(&command, false);
        command_expect_out_has(&command, "\"readable\": false,\n      \"reason\": \"topic 'imu'");
        command_free(&command);
        command_start_user(&command, &stranger, (const char *const[]){"blackbox", "nav/gps", NULL});
        command_finish(&command);
        command_expect_code(&command, 0);
        command_expect_err(&command, "");
        command_free(&command);
        imu_teardown();
}

static void test_a_broken_bus_tells_what_it_can(void **state) {
        struct layout_entry entry;
        struct command command;
        struct picture picture;
        struct topic topic;

        imu_setup("topics:\n  imu: {depth: 8, " FIELDS "}\n  nav/gps: {depth: 8, " FIELDS "}\n");
        assert_int_equal(process_wait(process_start(spread_run, NULL)), 0);
        daemon_kill(&bus);
        entry = daemon_entry(&bus, "imu");
        assert_int_equal(topic_attach(&topic, &entry, true, NULL), 0);
        /* Sample 3's slot says that it holds sample 1; sample 4 is dated an hour ahead. */
        atomic_store(&ring_slot(&topic.ring, 3)->stamp, 2);
        atomic_store(&ring_slot(&topic.ring, 4)->publish_time_ns,
                     slipring_now_ns() + UINT64_C(3600000000000));
        topic_detach(&topic);
        assert_int_equal(semctl(entry.claim_id, 0, IPC_RMID), 0);
        assert_int_equal(shmctl(entry.board_id, IPC_RMID, NULL), 0);
        picture_of(&picture);
        assert_int_equal(picture.count, 6);
        assert_int_equal(number_of(&picture, "imu", "damaged"), 1);
        assert_int_equal(number_of(&picture, "imu", "held"), 5);
        expect_word(&picture, "imu", "publisher", "\"unknown\"");
        /* The one with the wrong date comes last, but the time does not count from it. */
        assert_int_equal(picture.samples[5].sequence, 4);
        assert_int_equal(number_of(&picture, NULL, "newest_publish_time_ns"),
                         picture.samples[4].time_ns);
        assert_int_equal(picture.samples[4].sequence, 6);
        picture_free(&picture);
        assert_int_equal(shmctl(entry.data_id, IPC_RMID, NULL), 0);
        command_run(&command, "blackbox");
        command_expect_code(&command, 0);
        command_expect_out_has(&command, "  nav/gps  1\n");
        command_expect_out_has(&command, "# imu      cannot be read ");
        command_free(&command);
        imu_teardown();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_the_dead_published_is_all_there),
                cmocka_unit_test(test_adoption_loses_nothing),
                cmocka_unit_test(test_a_half_written_sample_is_named_and_not_shown),
                cmocka_unit_test(test_a_finished_sample_is_shown_though_nobody_was_told),
                cmocka_unit_test(test_a_loan_of_the_dead_is_half_a_sample),
                cmocka_unit_test(test_publishers_are_alive_or_left_or_dead),
                cmocka_unit_test(test_who_took_over_in_vain_is_named),
                cmocka_unit_test(test_a_bus_that_lives_is_read_too),
                cmocka_unit_test(test_since_counts_from_the_newest_sample_of_the_bus),
                cmocka_unit_test(test_samples_look_as_echo_shows_them),
                cmocka_unit_test(test_wrong_words_are_refused),
                cmocka_unit_test(test_a_reader_of_some_topics_is_told_of_the_others),
                cmocka_unit_test(test_a_broken_bus_tells_what_it_can),
        };

        (void) ipc_private(false);
        diaries = mmap(NULL, FEEDS * sizeof(*diaries), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (diaries == MAP_FAILED) {
                return 1;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
