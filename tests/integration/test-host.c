/*
 * slipring-host over a live bus: what arrives is this machine, and it goes on whatever happens to
 * the bus, to the topics and to itself.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "publishers/host/host.h"
#include "tests/harness/harness.h"

/* Long, for a loaded machine: nothing here waits that long on a good day. */
#define PATIENCE_MS 20000

static struct topic_spec host_topic(const char *name, const struct slipring_type *type) {
        struct topic_spec spec = topic_of(name, 64);

        spec.type = type;
        return spec;
}

/* The bus of deploy/examples/host.yaml, without the topics that not every machine has. */
static size_t host_topics(struct topic_spec *specs) {
        size_t count = 0;

        specs[count++] = host_topic("host/cpu", &host_msgs_Cpu_type);
        specs[count++] = host_topic("host/memory", &host_msgs_Memory_type);
        specs[count++] = host_topic("host/load", &host_msgs_Load_type);
        specs[count++] = host_topic("host/disk", &host_msgs_Disks_type);
        specs[count++] = host_topic("host/network", &host_msgs_Network_type);
        return count;
}

static int setup(void **state) {
        static struct bus bus;
        struct topic_spec specs[8];
        size_t count = host_topics(specs);

        bus_start(&bus, specs, count);
        *state = &bus;
        return 0;
}

static int teardown(void **state) {
        bus_stop(*state);
        return 0;
}

/* --- processes --- */

struct command {
        const char *arguments[8];
        int output;
};

static int execute(void *argument) {
        const struct command *command = argument;
        const char *program = getenv("SLIPRING_HOST_PROGRAM");
        char *words[10] = {(char *) "slipring-host"};
        size_t i;

        for (i = 0; command->arguments[i]; i++) {
                words[i + 1] = (char *) command->arguments[i];
        }
        if (command->output > 0) {
                (void) dup2(command->output, STDERR_FILENO);
        }
        if (program) {
                (void) execv(program, words);
        }
        return 127;
}

#define host_start(...) process_start(execute, &(struct command){{__VA_ARGS__}, 0})
#define host_run(...) process_wait(host_start(__VA_ARGS__))

static void host_stop(pid_t pid) {
        assert_int_equal(kill(pid, SIGTERM), 0);
        assert_int_equal(process_wait(pid), 0);
}

/* --- samples --- */

static uint64_t patience(void) {
        return slipring_in_ms(PATIENCE_MS);
}

/* The next sample, in order. */
static struct slipring_sample take(struct slipring_subscriber *subscriber, void *message) {
        size_t bytes = slipring_subscriber_type(subscriber)->payload_bytes;
        struct slipring_sample sample = {0};
        int r;

        while ((r = slipring_subscriber_take(subscriber, message, bytes, &sample)) == 0) {
                assert_int_equal(slipring_subscriber_wait(subscriber, patience()), 0);
        }
        assert_int_equal(r, 1);
        return sample;
}

static struct slipring_sample take_topic(const char *topic, void *message) {
        struct slipring_subscriber *subscriber = subscriber_open(topic, SLIPRING_START_NEXT);
        struct slipring_sample sample = take(subscriber, message);

        slipring_subscriber_close(subscriber);
        return sample;
}

static uint64_t meminfo_total(void) {
        unsigned long long kib = 0;
        FILE *file = fopen("/proc/meminfo", "re");

        assert_non_null(file);
        assert_int_equal(fscanf(file, "MemTotal: %llu kB", &kib), 1);
        assert_int_equal(fclose(file), 0);
        return 1024 * (uint64_t) kib;
}

#define assert_within(value, low, high) assert_true((value) >= (low) && (value) <= (high))

/* --- what arrives --- */

static void test_messages_are_this_machine(void **state) {
        struct host_msgs_Network network;
        struct host_msgs_Memory memory;
        struct host_msgs_Disks disks;
        struct host_msgs_Load load;
        struct host_msgs_Cpu cpu;
        pid_t pid = host_start("--wait", "20");
        uint32_t i;

        (void) take_topic("host/memory", &memory);
        assert_int_equal(memory.total, meminfo_total());
        assert_within(memory.available, 1u, memory.total);
        assert_within(memory.used, 0, 100);
        (void) take_topic("host/cpu", &cpu);
        assert_within(cpu.usage, 0, 100);
        assert_within(cpu.user + cpu.system + cpu.interrupt + cpu.iowait + cpu.steal, 0, 100.1f);
        assert_int_equal(cpu.cores_online, sysconf(_SC_NPROCESSORS_ONLN));
        assert_within(cpu.core_count, 1, 64);
        for (i = 0; i < 64; i++) {
                assert_within(cpu.core_usage[i], i < cpu.core_count ? 0 : -1, 100);
        }
        (void) take_topic("host/load", &load);
        assert_true(load.uptime > 0);
        assert_true(load.threads > 0);
        (void) take_topic("host/disk", &disks);
        assert_true(disks.disk_count <= 16);
        assert_true(disks.read >= 0 && disks.write >= 0);
        (void) take_topic("host/network", &network);
        assert_true(network.interface_count <= 16);
        host_stop(pid);
}

/* In order, none twice, in time with the wall clock, and not the same all over. */
static void test_samples_advance(void **state) {
        struct slipring_subscriber *subscriber;
        struct slipring_sample sample, last;
        struct host_msgs_Load load, first;
        struct timespec wall;
        pid_t pid = host_start("--rate", "50");
        int i;

        subscriber = subscriber_open("host/load", SLIPRING_START_NEXT);
        last = take(subscriber, &first);
        for (i = 0; i < 20; i++) {
                sample = take(subscriber, &load);
                assert_int_equal(sample.sequence, last.sequence + 1);
                assert_true(sample.publish_time_ns > last.publish_time_ns);
                assert_true(sample.source_time_ns > last.source_time_ns);
                last = sample;
        }
        assert_true(load.uptime > first.uptime);
        assert_int_equal(clock_gettime(CLOCK_REALTIME, &wall), 0);
        assert_within(sample.source_time_ns / 1000000000, (uint64_t) wall.tv_sec - 20,
                      (uint64_t) wall.tv_sec);
        slipring_subscriber_close(subscriber);
        host_stop(pid);
}

/* Sleeping to absolute times, the distance between samples is the period on average, however long
 * each took: n periods never take less time than that. */
static void test_rate_is_not_exceeded(void **state) {
        struct slipring_subscriber *subscriber;
        struct slipring_sample first, last;
        struct host_msgs_Cpu cpu;
        pid_t pid = host_start();
        int i;

        subscriber = subscriber_open("host/cpu", SLIPRING_START_NEXT);
        first = take(subscriber, &cpu);
        for (i = 0; i < 10; i++) {
                last = take(subscriber, &cpu);
        }
        /* One period of slack: the first may have been late. */
        assert_true(last.publish_time_ns - first.publish_time_ns >= 900000000);
        slipring_subscriber_close(subscriber);
        host_stop(pid);
}

static void test_once_publishes_one_sample_of_each_topic(void **state) {
        static const char *const names[] = {"host/cpu", "host/memory", "host/load", "host/disk",
                                            "host/network"};
        struct slipring_subscriber_info info;
        struct slipring_subscriber *subscriber;
        size_t i;

        assert_int_equal(host_run("--once"), 0);
        for (i = 0; i < 5; i++) {
                subscriber = subscriber_open(names[i], SLIPRING_START_NEWEST);
                assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
                assert_int_equal(info.sequence, 1);
                assert_int_equal(info.publisher_pid, 0);
                slipring_subscriber_close(subscriber);
        }
}

/* --- whoever dies --- */

static void test_restarted_after_kill_goes_on(void **state) {
        struct slipring_subscriber *subscriber;
        struct slipring_sample before, after;
        struct host_msgs_Cpu cpu;
        pid_t pid = host_start();

        subscriber = subscriber_open("host/cpu", SLIPRING_START_NEXT);
        before = take(subscriber, &cpu);
        assert_int_equal(before.epoch, 1);
        process_kill(pid);
        pid = host_start();
        do {
                after = take(subscriber, &cpu);
        } while (after.epoch == before.epoch);
        assert_int_equal(after.epoch, 2);
        assert_true(after.sequence > before.sequence);
        assert_int_equal(after.missed, 0);
        slipring_subscriber_close(subscriber);
        host_stop(pid);
}

/* Which process publishes? */
static pid_t publisher_of(const char *topic) {
        struct slipring_subscriber *subscriber = subscriber_open(topic, SLIPRING_START_NEXT);
        struct slipring_subscriber_info info;

        assert_int_equal(slipring_subscriber_info(subscriber, &info), 0);
        slipring_subscriber_close(subscriber);
        return info.publisher_pid;
}

static void test_second_instance_refuses_or_stands_by(void **state) {
        static const char *const names[] = {"host/cpu", "host/memory", "host/load", "host/disk",
                                            "host/network"};
        pid_t pid = host_start(), standby;
        struct host_msgs_Cpu cpu;
        struct host_msgs_Network network;
        size_t i;

        (void) take_topic("host/network", &network);
        assert_int_equal(host_run("--wait", "20"), 1);
        standby = host_start("--standby");
        (void) take_topic("host/cpu", &cpu);
        for (i = 0; i < 5; i++) {
                assert_int_equal(publisher_of(names[i]), pid);
        }
        process_kill(pid);
        /* All of them, and nobody else's. */
        (void) take_topic("host/network", &network);
        for (i = 0; i < 5; i++) {
                assert_int_equal(publisher_of(names[i]), standby);
        }
        host_stop(standby);
}

/* --- whatever happens to the bus --- */

static void test_waits_for_the_bus(void **state) {
        struct topic_spec specs[8];
        size_t count = host_topics(specs);
        struct host_msgs_Cpu cpu;
        static struct bus bus;
        char name[64];
        pid_t pid;

        (void) snprintf(name, sizeof(name), "test%dlate", (int) getpid());
        assert_int_equal(setenv("SLIPRING_BUS", name, 1), 0);
        assert_int_equal(host_run("--wait", "0.2"), 124);
        pid = host_start();
        assert_int_equal(usleep(300000), 0);
        (void) snprintf(bus.name, sizeof(bus.name), "%s", name);
        bus_resume(&bus);
        bus_apply(&bus, specs, count);
        (void) take_topic("host/cpu", &cpu);
        host_stop(pid);
        bus_stop(&bus);
}

static void test_follows_a_bus_that_goes_down_and_comes_back(void **state) {
        struct topic_spec specs[8];
        size_t count = host_topics(specs);
        struct bus *bus = *state;
        struct host_msgs_Cpu cpu;
        pid_t pid = host_start();

        (void) take_topic("host/cpu", &cpu);
        bus_stop(bus);
        assert_int_equal(usleep(300000), 0);
        bus_resume(bus);
        bus_apply(bus, specs, count);
        assert_int_equal(take_topic("host/cpu", &cpu).epoch, 1);
        assert_within(cpu.usage, 0, 100);
        host_stop(pid);
}

static void test_follows_a_topic_that_was_replaced(void **state) {
        struct slipring_subscriber *subscriber;
        struct slipring_sample sample;
        struct topic_spec specs[8];
        size_t count = host_topics(specs);
        struct host_msgs_Memory memory;
        struct host_msgs_Cpu cpu;
        pid_t pid = host_start();
        uint64_t last;

        (void) take_topic("host/cpu", &cpu);
        subscriber = subscriber_open("host/memory", SLIPRING_START_NEXT);
        specs[0].depth = 16;
        bus_apply(*state, specs, count);
        sample = take_topic("host/cpu", &cpu);
        assert_int_equal(sample.epoch, 1);
        /* The others did not notice. */
        last = take(subscriber, &memory).sequence;
        assert_int_equal(take(subscriber, &memory).sequence, last + 1);
        assert_int_equal(publisher_of("host/cpu"), pid);
        slipring_subscriber_close(subscriber);
        host_stop(pid);
}

static void test_takes_a_bus_as_it_is(void **state) {
        struct topic_spec specs[8];
        size_t count = host_topics(specs);
        struct host_msgs_Memory memory;
        struct host_msgs_Load load;
        pid_t pid;

        /* No processor, and a memory of another type. */
        specs[1].type = &message_type;
        bus_apply(*state, specs + 1, count - 1);
        pid = host_start();
        (void) take_topic("host/load", &load);
        assert_int_equal(publisher_of("host/memory"), 0);
        /* A reload that sets it right. */
        specs[1].type = &host_msgs_Memory_type;
        bus_apply(*state, specs + 1, count - 1);
        (void) take_topic("host/memory", &memory);
        assert_int_equal(memory.total, meminfo_total());
        host_stop(pid);
}

/* --- what the machine does not have --- */

/* Run over a stored machine until a topic that it has arrives; returns what was said. */
static void host_say(const char *machine, char *said, size_t size) {
        char root[4096];
        struct host_msgs_Memory memory;
        struct command command = {{"--root", root, "--rate", "50"}};
        size_t length = 0;
        int pipes[2], i;
        ssize_t n;
        pid_t pid;

        (void) snprintf(root, sizeof(root), "%s/host/%s", getenv("SLIPRING_TEST_DATA"), machine);
        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        command.output = pipes[1];
        pid = process_start(execute, &command);
        assert_int_equal(close(pipes[1]), 0);
        for (i = 0; i < 5; i++) {
                (void) take_topic("host/memory", &memory);
        }
        assert_int_equal(memory.total, UINT64_C(512000) * 1024);
        host_stop(pid);
        while ((n = read(pipes[0], said + length, size - 1 - length)) > 0) {
                length += (size_t) n;
        }
        said[length] = '\0';
        assert_int_equal(close(pipes[0]), 0);
}

static void test_says_once_what_the_machine_does_not_have(void **state) {
        struct topic_spec specs[8];
        size_t count = host_topics(specs);
        char said[4096], *first;

        specs[count++] = host_topic("host/thermal", &host_msgs_Thermal_type);
        bus_apply(*state, specs, count);
        host_say("virtual", said, sizeof(said));
        assert_int_equal(publisher_of("host/thermal"), 0);
        first = strstr(said,
                       "host/thermal: not published, for this machine has no temperature sensor");
        assert_non_null(first);
        assert_null(strstr(first + 1, "host/thermal: "));
}

static void test_refuses_wrong_command_lines(void **state) {
        assert_int_equal(host_run("--rate", "0"), 2);
        assert_int_equal(host_run("--rate", "nan"), 2);
        assert_int_equal(host_run("--rate", "10x"), 2);
        assert_int_equal(host_run("--wait", "-1"), 2);
        assert_int_equal(host_run("--frobnicate"), 2);
        assert_int_equal(host_run("start"), 2);
        assert_int_equal(host_run("-b", "Not A Bus"), 1);
        assert_int_equal(host_run("--root", "/nowhere"), 1);
        assert_int_equal(host_run("--help"), 0);
        assert_int_equal(host_run("--version"), 0);
}

#define over_a_bus(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                over_a_bus(test_messages_are_this_machine),
                over_a_bus(test_samples_advance),
                over_a_bus(test_rate_is_not_exceeded),
                over_a_bus(test_once_publishes_one_sample_of_each_topic),
                over_a_bus(test_restarted_after_kill_goes_on),
                over_a_bus(test_second_instance_refuses_or_stands_by),
                cmocka_unit_test(test_waits_for_the_bus),
                over_a_bus(test_follows_a_bus_that_goes_down_and_comes_back),
                over_a_bus(test_follows_a_topic_that_was_replaced),
                over_a_bus(test_takes_a_bus_as_it_is),
                over_a_bus(test_says_once_what_the_machine_does_not_have),
                cmocka_unit_test(test_refuses_wrong_command_lines),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
