/*
 * A publisher that dumps core: its claim comes back when the dump is written, not before, and the
 * deadline's alarm comes meanwhile. Without a core, or once the dump is killed too, the one that
 * stands by takes over at once. The topic's memory is not part of the dump.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/claim.h"
#include "tests/harness/daemon.h"

#define TOPICS                                                                                     \
        "topics:\n"                                                                                \
        "  imu: {deadline: 30 ms, depth: 4, fields: {words: \"uint64[8192]\"}}\n"

#define CONTROL UINT64_C(1000000000) /* what is in the dump for sure is of this number */
#define MIB (1024u * 1024u)

enum ending {
        NO_CORE,
        CORE,
        CORE_KILLED, /* SIGKILL while it dumps */
};

struct shared {
        _Atomic int crash, done;
        _Atomic uint64_t crashed_ns;
        _Atomic uint64_t taken_ns;
        uint64_t published; /* by the one that crashes */
        uint64_t sequence;  /* where the one that stood by began */
        /* Of the same kind of memory as a topic's, but left in the dump. */
        uint8_t control[BLOB_BYTES];
};

struct scene {
        enum ending ending;
        size_t heap_bytes;
        char directory[96]; /* where the dump goes */
        struct shared *shared;
        struct layout_entry entry;
        pid_t publisher, standby;
        struct slipring_subscriber *subscriber;
        unsigned held;       /* looks that found the dying one in possession */
        unsigned held_stale; /* of these, how many found the topic stale */
        off_t bytes_at_takeover;
        off_t bytes;
};

static struct daemon bus;

static int setup(void **state) {
        daemon_setup(&bus);
        daemon_schema(&bus, TOPICS);
        daemon_start(&bus, NULL);
        return 0;
}

static int teardown(void **state) {
        assert_int_equal(daemon_stop(&bus, SIGTERM), 0);
        daemon_teardown(&bus);
        return 0;
}

/* --- publishers --- */

/* In place: what it publishes is nowhere else in its memory. */
static int send_loan(struct slipring_publisher *publisher, uint64_t number) {
        void *payload;
        int r;

        r = slipring_publisher_loan(publisher, &payload);
        if (r < 0) {
                return r;
        }
        blob_fill(payload, BLOB_BYTES, number);
        return slipring_publisher_commit(publisher, 0);
}

static bool heap_fill(size_t bytes) {
        void *heap = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (heap == MAP_FAILED) {
                return false;
        }
        memset(heap, 0x5a, bytes);
        return true;
}

static bool core_allow(bool allowed) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_CORE, &limit) < 0) {
                return false;
        }
        limit.rlim_cur = allowed ? limit.rlim_max : 0;
        return setrlimit(RLIMIT_CORE, &limit) == 0;
}

static int publisher_run(void *argument) {
        const struct scene *scene = argument;
        struct shared *shared = scene->shared;
        struct slipring_publisher *publisher;

        if (chdir(scene->directory) < 0 || !core_allow(scene->ending != NO_CORE) ||
            !heap_fill(scene->heap_bytes)) {
                return 1;
        }
        publisher = publisher_open("imu");
        do {
                if (send_loan(publisher, ++shared->published) < 0) {
                        return 2;
                }
                (void) usleep(5000);
        } while (!atomic_load(&shared->crash));
        /* A sanitizer has a handler of its own, which would write no core. */
        (void) signal(SIGABRT, SIG_DFL);
        atomic_store(&shared->crashed_ns, slipring_now_ns());
        abort();
}

static int standby_run(void *argument) {
        const struct scene *scene = argument;
        struct slipring_publisher_options options = {
                .size = sizeof(options),
                .flags = SLIPRING_PUBLISHER_STANDBY,
                .deadline_ns = SLIPRING_FOREVER,
        };
        struct slipring_publisher *publisher = NULL;
        struct slipring_publisher_info info;

        if (slipring_publisher_open(&publisher, "imu", &options, NULL) < 0) {
                return 1;
        }
        atomic_store(&scene->shared->taken_ns, slipring_now_ns());
        if (slipring_publisher_info(publisher, &info) < 0) {
                return 2;
        }
        scene->shared->sequence = info.sequence;
        while (!atomic_load(&scene->shared->done)) {
                if (slipring_publisher_info(publisher, &info) < 0 ||
                    send_loan(publisher, info.sequence + 1) < 0) {
                        return 3;
                }
                (void) usleep(5000);
        }
        slipring_publisher_close(publisher);
        return 0;
}

/* --- the dump --- */

static size_t heap_bytes(void) {
        return (size_t) MIB * (harness_long() ? 1024 : 256);
}

/* Where this machine puts it: into the working directory, unless somebody set it otherwise. */
static void core_needed(void) {
        struct rlimit limit;
        char text[256] = "";
        FILE *file = fopen("/proc/sys/kernel/core_pattern", "re");

        assert_non_null(file);
        (void) fgets(text, sizeof(text), file);
        (void) fclose(file);
        if (strchr("|/@", *text) || strchr(text, '/')) {
                (void) fprintf(stderr, "skipped: kernel.core_pattern takes core dumps away: %s\n",
                               text);
                exit(77);
        }
        assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
        if (limit.rlim_max < 4 * (rlim_t) heap_bytes()) {
                (void) fprintf(stderr,
                               "skipped: the hard limit allows no core dump of this size\n");
                exit(77);
        }
}

/* The one file in the directory: its name is the machine's affair. False: there is none. */
static bool core_path(const struct scene *scene, char *path, size_t bytes) {
        DIR *directory = opendir(scene->directory);
        const struct dirent *entry;
        bool found = false;

        assert_non_null(directory);
        while ((entry = readdir(directory))) {
                if (*entry->d_name != '.') {
                        assert_false(found);
                        found = true;
                        (void) snprintf(path, bytes, "%s/%s", scene->directory, entry->d_name);
                }
        }
        (void) closedir(directory);
        return found;
}

static off_t core_bytes(const struct scene *scene) {
        struct stat status;
        char path[512];

        if (!core_path(scene, path, sizeof(path))) {
                return 0;
        }
        assert_int_equal(stat(path, &status), 0);
        return status.st_size;
}

static bool core_contains(const void *core, size_t bytes, uint64_t number) {
        static uint64_t blob[BLOB_BYTES / 8];

        blob_fill(blob, sizeof(blob), number);
        /* A piece from its middle. */
        return memmem(core, bytes, blob + 1000, 64) != NULL;
}

/* The topic's samples are not in it; what is of the same kind of memory is. */
static void core_check(const struct scene *scene) {
        char path[512];
        void *core;
        int fd;

        assert_true(core_path(scene, path, sizeof(path)));
        fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        core = mmap(NULL, (size_t) scene->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        assert_true(core != MAP_FAILED);
        assert_true(core_contains(core, (size_t) scene->bytes, CONTROL));
        assert_false(core_contains(core, (size_t) scene->bytes, scene->shared->published));
        (void) munmap(core, (size_t) scene->bytes);
        (void) close(fd);
}

/* --- a crash --- */

static struct slipring_subscriber_info info_of(const struct scene *scene) {
        struct slipring_subscriber_info info;

        assert_int_equal(slipring_subscriber_info(scene->subscriber, &info), 0);
        return info;
}

static void crash(struct scene *scene) {
        atomic_store(&scene->shared->crash, 1);
        while (!atomic_load(&scene->shared->crashed_ns)) {
                (void) usleep(50);
        }
}

/* Look until the other has taken over. Nothing is held back: who dumps has the claim, whole. */
static void watch_takeover(struct scene *scene) {
        bool killed = false, stale;
        off_t bytes;
        pid_t holder;

        while (!atomic_load(&scene->shared->taken_ns)) {
                stale = info_of(scene).stale;
                /* In this order: it had it when there was less of the dump. */
                holder = claim_holder(scene->entry.claim_id);
                bytes = core_bytes(scene);
                if (holder == scene->publisher) {
                        scene->held++;
                        scene->held_stale += stale;
                } else if (!killed && scene->ending != NO_CORE) {
                        assert_true(bytes >= (off_t) scene->heap_bytes);
                }
                if (scene->ending == CORE_KILLED && !killed && stale && bytes > 0) {
                        assert_int_equal(kill(scene->publisher, SIGKILL), 0);
                        killed = true;
                }
                (void) usleep(500);
        }
        scene->bytes_at_takeover = core_bytes(scene);
}

static void reap(struct scene *scene) {
        int status;

        assert_int_equal(waitpid(scene->publisher, &status, 0), scene->publisher);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), scene->ending == CORE_KILLED ? SIGKILL : SIGABRT);
        assert_int_equal(!!WCOREDUMP(status), scene->ending == CORE);
        scene->bytes = core_bytes(scene);
}

/* Everything published was delivered, and the other went on where it was. */
static void samples_check(const struct scene *scene) {
        static uint8_t blob[BLOB_BYTES];
        struct slipring_subscriber_info info;
        struct slipring_sample sample;
        uint64_t number, delivered = 0;

        assert_int_equal(scene->shared->sequence, scene->shared->published);
        while (slipring_subscriber_take_newest(scene->subscriber, blob, sizeof(blob), &sample) ==
               1) {
                assert_true(blob_whole(blob, sizeof(blob), &number));
                assert_int_equal(number, sample.sequence);
                delivered++;
        }
        /* The next publisher is a fork of this process, and is not to have it from here. */
        explicit_bzero(blob, sizeof(blob));
        info = info_of(scene);
        assert_true(delivered > 0);
        assert_int_equal(info.delivered, delivered);
        assert_int_equal(info.delivered + info.missed, info.sequence);
        assert_int_equal(info.epoch, 2);
}

static void scene_open(struct scene *scene, enum ending ending, size_t heap_bytes) {
        char text[64];

        *scene = (struct scene){
                .ending = ending, .heap_bytes = heap_bytes, .entry = daemon_entry(&bus, "imu")};
        (void) snprintf(scene->directory, sizeof(scene->directory), "%s/core", bus.directory);
        assert_int_equal(mkdir(scene->directory, 0700), 0);
        scene->shared = mmap(NULL, sizeof(*scene->shared), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(scene->shared != MAP_FAILED);
        blob_fill(scene->shared->control, BLOB_BYTES, CONTROL);
        scene->subscriber = subscriber_open("imu", SLIPRING_START_OLDEST);
        scene->publisher = process_start(publisher_run, scene);
        (void) snprintf(text, sizeof(text), "imu: publisher %d", (int) scene->publisher);
        daemon_expect(&bus, text);
        scene->standby = process_start(standby_run, scene);
        while (semctl(scene->entry.claim_id, 0, GETZCNT) != 1) {
                (void) usleep(500);
        }
}

static void scene_close(struct scene *scene) {
        char path[512];

        atomic_store(&scene->shared->done, 1);
        assert_int_equal(process_wait(scene->standby), 0);
        samples_check(scene);
        slipring_subscriber_close(scene->subscriber);
        if (core_path(scene, path, sizeof(path))) {
                assert_int_equal(unlink(path), 0);
        }
        assert_int_equal(rmdir(scene->directory), 0);
        (void) munmap(scene->shared, sizeof(*scene->shared));
}

static void print_scene(const struct scene *scene) {
        static const char *const names[] = {"no core", "core", "core, killed while it dumps"};

        print_message("%s: %zu MiB of heap, takeover %.1f ms after the crash; seen holding the "
                      "claim %u times, %u of them stale; dump %.1f MiB\n",
                      names[scene->ending], scene->heap_bytes / MIB,
                      (double) (atomic_load(&scene->shared->taken_ns) -
                                atomic_load(&scene->shared->crashed_ns)) /
                              1e6,
                      scene->held, scene->held_stale, (double) scene->bytes / MIB);
}

/* --- the tests --- */

static void test_without_a_core_the_claim_is_free_at_once(void **state) {
        struct scene scene;

        scene_open(&scene, NO_CORE, heap_bytes());
        crash(&scene);
        watch_takeover(&scene);
        reap(&scene);
        print_scene(&scene);
        assert_int_equal(scene.bytes, 0);
        scene_close(&scene);
}

static void test_claim_comes_back_after_the_dump_and_the_alarm_before(void **state) {
        struct scene scene;

        scene_open(&scene, CORE, heap_bytes());
        crash(&scene);
        watch_takeover(&scene);
        reap(&scene);
        print_scene(&scene);
        assert_true(scene.held_stale > 0);
        assert_true(scene.bytes >= (off_t) scene.heap_bytes);
        /* Complete before the other had the claim. */
        assert_int_equal(scene.bytes_at_takeover, scene.bytes);
        core_check(&scene);
        daemon_expect(&bus, "imu: stale: no sample within its deadline of 30 ms");
        daemon_expect(&bus, " is gone");
        daemon_expect(&bus, "imu: fresh again");
        scene_close(&scene);
}

/* The remedy for who cannot wait. */
static void test_killing_the_dump_frees_the_claim(void **state) {
        struct scene scene;

        scene_open(&scene, CORE_KILLED, heap_bytes());
        crash(&scene);
        watch_takeover(&scene);
        reap(&scene);
        print_scene(&scene);
        assert_true(scene.held_stale > 0);
        assert_true(scene.bytes < (off_t) scene.heap_bytes);
        scene_close(&scene);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_without_a_core_the_claim_is_free_at_once,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(
                        test_claim_comes_back_after_the_dump_and_the_alarm_before, setup, teardown),
                cmocka_unit_test_setup_teardown(test_killing_the_dump_frees_the_claim, setup,
                                                teardown),
        };

        core_needed();
        (void) ipc_private(false);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
