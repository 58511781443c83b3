/*
 * Users who have no right to: keys taken before the bus has them, objects that their owner loosened
 * or removed, and a subscriber that tries everything it can think of to change what it reads.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/claim.h"
#include "bus/directory.h"
#include "tests/harness/user.h"

static const struct user owner = {USER_OWNER, USER_OWNER, 0};
static const struct user member = {USER_MEMBER, GROUP_TOPICS, 0};
static const struct user stranger = {USER_STRANGER, USER_STRANGER, 0};

static struct bus bus;
static struct topic_spec specs[2];

/* A topic for all and one for a group, both another user's. */
static int setup(void **state) {
        int i;

        for (i = 0; i < 2; i++) {
                specs[i] = topic_of(i ? "closed" : "imu", 4);
                specs[i].uid = USER_OWNER;
                specs[i].gid = GROUP_TOPICS;
                specs[i].mode = i ? 0640 : 0644;
        }
        bus_start(&bus, specs, 2);
        return 0;
}

static int teardown(void **state) {
        bus_stop(&bus);
        return 0;
}

static int open_subscriber(const char *name, struct slipring_error *reterr) {
        struct slipring_subscriber_options options = {.size = sizeof(options), .bus = name};
        struct slipring_subscriber *subscriber = NULL;
        int r = slipring_subscriber_open(&subscriber, "imu", &options, reterr);

        slipring_subscriber_close(subscriber);
        return r;
}

static void says(const struct slipring_error *error, int code, const char *part) {
        assert_int_equal(error->code, code);
        if (!strstr(error->text, part)) {
                fail_msg("'%s' does not say '%s'", error->text, part);
        }
}

/* --- keys that a stranger has first --- */

struct squat {
        key_t key;
        size_t bytes;
        unsigned mode;
        bool forged;         /* IPC_SET to root's uid and gid */
        const void *content; /* a good directory's, or NULL */
        size_t content_bytes;
        bool semaphore;
};

static int squat_run(void *argument) {
        const struct squat *squat = argument;
        struct shmid_ds status = {.shm_perm.mode = (unsigned short) squat->mode};
        void *address;
        int id;

        if (squat->semaphore) {
                return semget(squat->key, 1, IPC_CREAT | IPC_EXCL | (int) squat->mode) < 0;
        }
        id = shmget(squat->key, squat->bytes, IPC_CREAT | IPC_EXCL | (int) squat->mode);
        if (id < 0) {
                return 1;
        }
        if (squat->content) {
                address = shmat(id, NULL, 0);
                if (address == (void *) -1) {
                        return 2;
                }
                memcpy(address, squat->content, squat->content_bytes);
        }
        return squat->forged && shmctl(id, IPC_SET, &status) < 0 ? 3 : 0;
}

/* Is a bus of this name, whosever, found by looking at all there is? */
static bool is_found(const char *name) {
        struct directory *all = NULL;
        size_t count = 0, i;
        bool found = false;

        assert_int_equal(directory_list(&all, &count), 0);
        for (i = 0; i < count; i++) {
                found |= strcmp(all[i].bus, name) == 0;
                directory_detach(&all[i]);
        }
        free(all);
        return found;
}

static void check_squat(struct squat *squat) {
        struct slipring_error error = {0};
        struct registry *registry = NULL;
        char name[64];
        int id;

        (void) snprintf(name, sizeof(name), "squat%d", (int) getpid());
        squat->key = directory_key(0, name);
        assert_int_equal(process_wait(user_start(&stranger, squat_run, squat)), 0);
        id = squat->semaphore ? semget(squat->key, 0, 0) : shmget(squat->key, 0, 0);
        assert_true(id >= 0);
        if (!squat->semaphore) {
                assert_int_equal(open_subscriber(name, &error), -EPERM);
                says(&error, -EPERM, "created, who is not trusted");
                says(&error, -EPERM, "uid 65004");
                assert_false(is_found(name));
        }
        assert_int_equal(registry_open(&registry, name, &error), -EPERM);
        says(&error, -EPERM, "uid 65004");
        says(&error, -EPERM, "ipcrm");
        if (squat->content) {
                /* The control: but for its creator it is in order. */
                assert_int_equal(setenv("SLIPRING_TRUST", "65004", 1), 0);
                assert_int_equal(open_subscriber(name, &error), 0);
                (void) unsetenv("SLIPRING_TRUST");
        }
        assert_int_equal(squat->semaphore ? semctl(id, 0, IPC_RMID) : shmctl(id, IPC_RMID, NULL),
                         0);
        /* The refused manager gave its claim back; a good one cleans up behind both. */
        assert_int_equal(registry_open(&registry, name, &error), 0);
        registry_remove(registry, NULL);
}

static void test_a_squatted_key_is_refused_by_its_creator(void **state) {
        size_t bytes = (size_t) directory_expect(0, "", "").bytes;
        struct directory good = {.segment = SEGMENT_NONE};
        struct squat squats[] = {
                {.bytes = bytes, .mode = 0666},
                {.bytes = bytes, .mode = 0644, .forged = true},
                {.bytes = bytes, .mode = 0644, .forged = true, .content_bytes = bytes},
                {.bytes = 4096, .mode = 0666},
                {.mode = 0666, .semaphore = true},
        };
        uint8_t *copy = malloc(bytes);
        size_t i;

        assert_non_null(copy);
        assert_int_equal(directory_attach(&good, 0, bus.name, NULL), 0);
        /* A child has no mapping of it. */
        memcpy(copy, good.segment.address, bytes);
        squats[2].content = copy;
        for (i = 0; i < sizeof(squats) / sizeof(squats[0]); i++) {
                check_squat(&squats[i]);
        }
        directory_detach(&good);
        free(copy);
}

/* --- loosened or removed by who owns them --- */

enum object {
        DATA,
        CLAIM,
        BOARD,
};

struct change {
        enum object object;
        int command; /* IPC_SET or IPC_RMID */
        uid_t uid;
        gid_t gid;
        unsigned mode;
        int id; /* filled in */
};

union argument {
        int value;
        struct semid_ds *status;
};

static int change_by(const struct change *change) {
        struct shmid_ds segment = {.shm_perm = {.uid = change->uid,
                                                .gid = change->gid,
                                                .mode = (unsigned short) change->mode}};
        struct semid_ds set = {.sem_perm = segment.shm_perm};

        return change->object == CLAIM
                       ? semctl(change->id, 0, change->command, (union argument){.status = &set})
                       : shmctl(change->id, change->command, &segment);
}

static int change_run(void *argument) {
        return change_by(argument) < 0 ? errno : 0;
}

static int object_id(enum object object) {
        const struct layout_entry *entry = registry_entry(bus.registry, 0);

        return object == DATA    ? entry->data_id
               : object == CLAIM ? entry->claim_id
                                 : entry->board_id;
}

static void check_change(struct change change) {
        static const char *const names[] = {"its segment", "its claim", "its segment"};
        int r = change.command == IPC_RMID ? -ENOENT : -EBADMSG;
        struct slipring_error error = {0};
        struct slipring_subscriber *before = subscriber_open("imu", SLIPRING_START_OLDEST);
        char text[64];

        change.id = object_id(change.object);
        /* Nobody else may. */
        assert_int_equal(process_wait(user_start(&member, change_run, &change)), EPERM);
        assert_int_equal(process_wait(user_start(&stranger, change_run, &change)), EPERM);
        assert_int_equal(open_subscriber(NULL, &error), 0);
        assert_int_equal(process_wait(user_start(&owner, change_run, &change)), 0);
        assert_int_equal(open_subscriber(NULL, &error), r);
        if (r == -EBADMSG) {
                (void) snprintf(text, sizeof(text),
                                "%s was changed to owner %u, group %u, mode %04o",
                                names[change.object], change.uid, change.gid, change.mode);
                says(&error, r, text);
        }
        /* Whoever had it goes on, and is told of the successor. */
        assert_int_equal(slipring_subscriber_wait(before, slipring_in_ms(1)), -ETIMEDOUT);
        if (change.object != BOARD) {
                assert_true(registry_verify(bus.registry, 0, &error) < 0);
        }
        bus_apply(&bus, specs, 2);
        assert_int_equal(open_subscriber(NULL, &error), 0);
        if (slipring_subscriber_wait(before, slipring_in_ms(1)) == -EIDRM) {
                assert_int_equal(slipring_subscriber_move(before, 0, &error), 0);
        }
        slipring_subscriber_close(before);
}

static void test_what_its_owner_loosened_is_refused_and_replaced(void **state) {
        static const struct change changes[] = {
                {DATA, IPC_SET, USER_OWNER, GROUP_TOPICS, 0666, 0},
                {DATA, IPC_SET, USER_OWNER, GROUP_TOPICS, 0660, 0},
                {DATA, IPC_SET, USER_OWNER, USER_STRANGER, 0644, 0},
                {DATA, IPC_SET, USER_STRANGER, GROUP_TOPICS, 0644, 0},
                {DATA, IPC_SET, USER_OWNER, GROUP_TOPICS, 0, 0},
                {CLAIM, IPC_SET, USER_OWNER, GROUP_TOPICS, 0666, 0},
                {CLAIM, IPC_SET, USER_STRANGER, GROUP_TOPICS, 0644, 0},
        };
        size_t i;

        for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
                check_change(changes[i]);
        }
}

static void test_what_its_owner_removed_is_gone_and_replaced(void **state) {
        check_change((struct change){.object = DATA, .command = IPC_RMID});
        check_change((struct change){.object = CLAIM, .command = IPC_RMID});
}

/* The key of a removed segment is free: a stranger can have it, and gains nothing. */
static void test_a_removed_segments_key_is_worth_nothing(void **state) {
        const struct layout_entry *entry = registry_entry(bus.registry, 0);
        struct change change = {.object = DATA, .command = IPC_RMID, .id = entry->data_id};
        struct squat squat = {
                .key = entry->data_key, .bytes = (size_t) entry->segment_bytes, .mode = 0644};
        struct slipring_error error = {0};
        int id;

        assert_int_equal(process_wait(user_start(&owner, change_run, &change)), 0);
        assert_int_equal(process_wait(user_start(&stranger, squat_run, &squat)), 0);
        id = shmget(squat.key, 0, 0);
        assert_int_equal(open_subscriber(NULL, &error), -ENOENT);
        bus_apply(&bus, specs, 2);
        assert_int_equal(open_subscriber(NULL, &error), 0);
        assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
}

/* --- read-only is read-only --- */

struct target {
        const char *topic;
        struct layout_entry entry;
        pid_t publisher;
        int directory_id;
};

struct attack {
        const char *name;
        long (*run)(const struct target *target, uint8_t *address);
        int expected; /* the errno; HARMLESS: whatever it says, nothing changes */
};

#define HARMLESS 0
#define REFUSED (-1) /* with an errno that depends on how the kernel was built */

static sigjmp_buf caught;

static void catch_fault(int signal_number) {
        siglongjmp(caught, signal_number);
}

static long store(const struct target *target, uint8_t *address) {
        struct sigaction catch = {.sa_handler = catch_fault}, before;
        volatile long r = 0;
        int got;

        (void) sigaction(SIGSEGV, &catch, &before);
        got = sigsetjmp(caught, 1);
        if (got == 0) {
                *(volatile uint8_t *) address = 1;
        } else {
                errno = EFAULT;
                r = -1;
        }
        (void) sigaction(SIGSEGV, &before, NULL);
        return r;
}

static long protect(const struct target *target, uint8_t *address) {
        return mprotect(address, LAYOUT_PAGE, PROT_READ | PROT_WRITE);
}

static long protect_exec(const struct target *target, uint8_t *address) {
        return mprotect(address, LAYOUT_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
}

#define ADVICE(name, advice)                                                                       \
        static long name(const struct target *target, uint8_t *address) {                          \
                return madvise(address, (size_t) target->entry.segment_bytes, advice);             \
        }

/* By number where Debian 12's headers do not have them. */
ADVICE(advise_remove, MADV_REMOVE)
ADVICE(advise_dontneed, MADV_DONTNEED)
ADVICE(advise_dontneed_locked, 24)
ADVICE(advise_free, 8)
ADVICE(advise_cold, 20)
ADVICE(advise_pageout, 21)
ADVICE(advise_populate_write, 23)
ADVICE(advise_collapse, 25)
ADVICE(advise_wipeonfork, 18)
ADVICE(advise_mergeable, 12)
ADVICE(advise_hwpoison, 100)
ADVICE(advise_soft_offline, 101)

static long remap_and_store(const struct target *target, uint8_t *address) {
        /* An old size of 0 makes a second mapping of a shared one. */
        uint8_t *second = mremap(address, 0, LAYOUT_PAGE, MREMAP_MAYMOVE);
        long r;

        if (second == MAP_FAILED) {
                return -1;
        }
        r = store(target, second);
        if (r < 0 && mprotect(second, LAYOUT_PAGE, PROT_READ | PROT_WRITE) == 0) {
                r = 0;
        }
        (void) munmap(second, LAYOUT_PAGE);
        return r;
}

static long remap_pages(const struct target *target, uint8_t *address) {
        return syscall(SYS_remap_file_pages, address, (size_t) LAYOUT_PAGE, PROT_WRITE, 1, 0);
}

static long attach(int id, const void *address, int flags) {
        void *got = shmat(id, address, flags);

        if (got == (void *) -1) {
                return -1;
        }
        return 0;
}

static long attach_writable(const struct target *target, uint8_t *address) {
        return attach(target->entry.data_id, NULL, 0);
}

static long attach_exec(const struct target *target, uint8_t *address) {
        return attach(target->entry.data_id, NULL, SHM_RDONLY | SHM_EXEC);
}

static long attach_over(const struct target *target, uint8_t *address) {
        return attach(target->entry.data_id, address, SHM_REMAP);
}

static long attach_directory(const struct target *target, uint8_t *address) {
        return attach(target->directory_id, NULL, 0);
}

static long write_process(pid_t pid, void *address) {
        uint8_t byte = 1;
        struct iovec from = {.iov_base = &byte, .iov_len = 1};
        struct iovec to = {.iov_base = address, .iov_len = 1};

        return process_vm_writev(pid, &from, 1, &to, 1, 0);
}

static long write_own_process(const struct target *target, uint8_t *address) {
        return write_process(getpid(), address);
}

static long write_publisher(const struct target *target, uint8_t *address) {
        return write_process(target->publisher, address);
}

static long write_own_memory(const struct target *target, uint8_t *address) {
        int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC), error;
        uint8_t byte = 1, own = 0;
        long r;

        /* That it works at all shows that the refusal is the mapping's. */
        if (fd < 0 || pwrite(fd, &byte, 1, (off_t) (uintptr_t) &own) != 1 ||
            *(volatile uint8_t *) &own != 1) {
                return 0;
        }
        r = pwrite(fd, &byte, 1, (off_t) (uintptr_t) address);
        error = errno;
        (void) close(fd);
        errno = error;
        return r;
}

static long open_publisher_memory(const struct target *target, uint8_t *address) {
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/mem", (int) target->publisher);
        return open(path, O_RDWR | O_CLOEXEC);
}

static long open_map_file(const struct target *target, uint8_t *address) {
        char path[96];

        (void) snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx",
                        (unsigned long) (uintptr_t) address,
                        (unsigned long) (uintptr_t) address +
                                (unsigned long) target->entry.segment_bytes);
        return open(path, O_RDWR | O_CLOEXEC);
}

static long read_into(const struct target *target, uint8_t *address) {
        int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC), error;
        long r = read(fd, address, LAYOUT_PAGE);

        error = errno;
        (void) close(fd);
        errno = error;
        return r;
}

static long fault_by_user(const struct target *target, uint8_t *address) {
        struct uffdio_api api = {.api = UFFD_API};
        struct uffdio_register range = {
                .range = {.start = (uintptr_t) address, .len = target->entry.segment_bytes},
                .mode = UFFDIO_REGISTER_MODE_MISSING,
        };
        int fd = (int) syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */);
        long r;

        if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0) {
                return -1;
        }
        r = ioctl(fd, UFFDIO_REGISTER, &range);
        (void) close(fd);
        return r;
}

static long trace_publisher(const struct target *target, uint8_t *address) {
        return ptrace(PTRACE_ATTACH, target->publisher, NULL, NULL);
}

static long kill_publisher(const struct target *target, uint8_t *address) {
        return kill(target->publisher, SIGKILL);
}

static struct shmid_ds mine(void) {
        return (struct shmid_ds){
                .shm_perm = {.uid = getuid(), .gid = getgid(), .mode = 0666},
        };
}

#define CONTROL(name, id, command)                                                                 \
        static long name(const struct target *target, uint8_t *address) {                          \
                struct shmid_ds status = mine();                                                   \
                                                                                                   \
                return shmctl(target->id, command, &status);                                       \
        }

CONTROL(remove_data, entry.data_id, IPC_RMID)
CONTROL(set_data, entry.data_id, IPC_SET)
CONTROL(lock_data, entry.data_id, SHM_LOCK)
CONTROL(unlock_data, entry.data_id, SHM_UNLOCK)
CONTROL(remove_board, entry.board_id, IPC_RMID)
CONTROL(set_board, entry.board_id, IPC_SET)
CONTROL(remove_directory, directory_id, IPC_RMID)
CONTROL(set_directory, directory_id, IPC_SET)

static long claim_operate(const struct target *target, short operation) {
        struct sembuf one = {.sem_op = operation, .sem_flg = IPC_NOWAIT};

        return semop(target->entry.claim_id, &one, 1);
}

static long raise_claim(const struct target *target, uint8_t *address) {
        return claim_operate(target, 1);
}

static long lower_claim(const struct target *target, uint8_t *address) {
        return claim_operate(target, -1);
}

#define CLAIM_CONTROL(name, command)                                                               \
        static long name(const struct target *target, uint8_t *address) {                          \
                struct semid_ds status = {.sem_perm = mine().shm_perm};                            \
                                                                                                   \
                return semctl(target->entry.claim_id, 0, command,                                  \
                              (union argument){.status = &status});                                \
        }

CLAIM_CONTROL(remove_claim, IPC_RMID)
CLAIM_CONTROL(set_claim, IPC_SET)

static long zero_claim(const struct target *target, uint8_t *address) {
        return semctl(target->entry.claim_id, 0, SETVAL, (union argument){.value = 0});
}

/* A user namespace of one's own gives every capability, over nothing of the others'. Last: there
 * is no way back. */
static long own_namespace(const struct target *target, uint8_t *address) {
        if (unshare(CLONE_NEWUSER) < 0) {
                return -1;
        }
        errno = EPERM;
        if (attach_writable(target, address) == 0 || remove_data(target, address) == 0 ||
            set_data(target, address) == 0 || zero_claim(target, address) == 0 ||
            remove_claim(target, address) == 0 || lock_data(target, address) == 0 ||
            remove_directory(target, address) == 0) {
                return 0;
        }
        return -1;
}

static const struct attack attacks[] = {
        {"a store", store, EFAULT},
        {"mprotect(PROT_WRITE)", protect, EACCES},
        {"mprotect(PROT_WRITE | PROT_EXEC)", protect_exec, EACCES},
        {"madvise(MADV_REMOVE)", advise_remove, EACCES},
        {"madvise(MADV_DONTNEED)", advise_dontneed, HARMLESS},
        {"madvise(MADV_DONTNEED_LOCKED)", advise_dontneed_locked, HARMLESS},
        {"madvise(MADV_FREE)", advise_free, EINVAL},
        {"madvise(MADV_COLD)", advise_cold, HARMLESS},
        {"madvise(MADV_PAGEOUT)", advise_pageout, HARMLESS},
        {"madvise(MADV_POPULATE_WRITE)", advise_populate_write, EINVAL},
        {"madvise(MADV_COLLAPSE)", advise_collapse, HARMLESS},
        {"madvise(MADV_WIPEONFORK)", advise_wipeonfork, EINVAL},
        {"madvise(MADV_MERGEABLE)", advise_mergeable, HARMLESS},
        {"madvise(MADV_HWPOISON)", advise_hwpoison, REFUSED},
        {"madvise(MADV_SOFT_OFFLINE)", advise_soft_offline, REFUSED},
        {"mremap(0) and a store", remap_and_store, EACCES},
        {"remap_file_pages(PROT_WRITE)", remap_pages, EINVAL},
        {"shmat() without SHM_RDONLY", attach_writable, EACCES},
        {"shmat(SHM_EXEC)", attach_exec, EACCES},
        {"shmat(SHM_REMAP)", attach_over, EACCES},
        {"shmat() of the directory", attach_directory, EACCES},
        {"process_vm_writev() to itself", write_own_process, EFAULT},
        {"process_vm_writev() to the publisher", write_publisher, EPERM},
        {"/proc/self/mem", write_own_memory, EIO},
        {"/proc/PUBLISHER/mem", open_publisher_memory, EACCES},
        {"/proc/self/map_files", open_map_file, EPERM},
        {"read(2) into it", read_into, EFAULT},
        {"userfaultfd(2)", fault_by_user, REFUSED},
        {"ptrace(PTRACE_ATTACH) of the publisher", trace_publisher, EPERM},
        {"kill(2) of the publisher", kill_publisher, EPERM},
        {"shmctl(IPC_RMID)", remove_data, EPERM},
        {"shmctl(IPC_SET)", set_data, EPERM},
        {"shmctl(SHM_LOCK)", lock_data, EPERM},
        {"shmctl(SHM_UNLOCK)", unlock_data, EPERM},
        {"shmctl(IPC_RMID) of the board", remove_board, EPERM},
        {"shmctl(IPC_SET) of the board", set_board, EPERM},
        {"shmctl(IPC_RMID) of the directory", remove_directory, EPERM},
        {"shmctl(IPC_SET) of the directory", set_directory, EPERM},
        {"semop(+1)", raise_claim, EACCES},
        {"semop(-1)", lower_claim, EACCES},
        {"semctl(SETVAL)", zero_claim, EACCES},
        {"semctl(IPC_SET)", set_claim, EPERM},
        {"semctl(IPC_RMID)", remove_claim, EPERM},
        {"all that in a user namespace of its own", own_namespace, REFUSED},
};

#define ATTACKS (sizeof(attacks) / sizeof(attacks[0]))

/* Runs every attack; what went wrong is printed and counted. */
static int attack_run(void *argument) {
        const struct target *target = argument;
        size_t bytes = (size_t) target->entry.segment_bytes, i;
        uint8_t *address = shmat(target->entry.data_id, NULL, SHM_RDONLY);
        uint8_t *before = malloc(bytes);
        int wrong = 0;

        if (address == (void *) -1 || !before) {
                return 125;
        }
        memcpy(before, address, bytes);
        for (i = 0; i < ATTACKS; i++) {
                long r = attacks[i].run(target, address);
                int error = errno;
                bool good = attacks[i].expected == HARMLESS ||
                            (r < 0 && (attacks[i].expected < 0 || error == attacks[i].expected));

                if (!good || memcmp(before, address, bytes) != 0) {
                        printf("%s: returned %ld (%s), %s\n", attacks[i].name, r, strerror(error),
                               memcmp(before, address, bytes) ? "DATA CHANGED" : "data unchanged");
                        wrong++;
                }
        }
        free(before);
        (void) fflush(stdout);
        return wrong;
}

/* Who may not even read. */
static int outside_run(void *argument) {
        const struct target *target = argument;
        int id = target->entry.data_id, wrong = 0;
        struct shmid_ds status;

        wrong += shmat(id, NULL, SHM_RDONLY) != (void *) -1 || errno != EACCES;
        wrong += shmctl(id, IPC_STAT, &status) == 0 || errno != EACCES;
        wrong += shmat(target->entry.board_id, NULL, SHM_RDONLY) != (void *) -1 || errno != EACCES;
        wrong += semctl(target->entry.claim_id, 0, GETVAL) >= 0 || errno != EACCES;
        wrong += claim_operate(target, 0) == 0 || errno != EACCES;
        return wrong;
}

struct publishing {
        const char *topic;
        int ready[2], go[2];
};

/* Publishes 1, and 2 when it is told to. */
static int publish_run(void *argument) {
        struct publishing *publishing = argument;
        struct slipring_publisher *publisher = NULL;
        uint64_t number;
        char byte;

        if (slipring_publisher_open(&publisher, publishing->topic, NULL, NULL) < 0) {
                return 1;
        }
        for (number = 1; number <= 2; number++) {
                struct message message = message_make(number);

                if (slipring_publisher_publish(publisher, &message, sizeof(message), 0) < 0 ||
                    write(publishing->ready[1], "x", 1) != 1 ||
                    read(publishing->go[0], &byte, 1) != 1) {
                        return 2;
                }
        }
        slipring_publisher_close(publisher);
        return 0;
}

static void take_number(struct slipring_subscriber *subscriber, uint64_t number) {
        struct slipring_sample sample;
        struct message message;

        assert_int_equal(slipring_subscriber_take(subscriber, &message, sizeof(message), &sample),
                         1);
        assert_true(message_whole(&message));
        assert_int_equal(message.number, number);
        assert_int_equal(sample.sequence, number);
        assert_int_equal(sample.missed, 0);
}

static void attack(size_t topic, const struct user *user, int (*run)(void *)) {
        struct publishing publishing = {.topic = specs[topic].name};
        struct target target = {.entry = *registry_entry(bus.registry, topic)};
        struct slipring_subscriber *honest;
        char byte;

        assert_int_equal(pipe(publishing.ready), 0);
        assert_int_equal(pipe(publishing.go), 0);
        target.directory_id = shmget(directory_key(0, bus.name), 0, 0);
        target.publisher = user_start(&owner, publish_run, &publishing);
        assert_int_equal(read(publishing.ready[0], &byte, 1), 1);
        honest = subscriber_open(publishing.topic, SLIPRING_START_OLDEST);
        assert_int_equal(process_wait(user_start(user, run, &target)), 0);
        take_number(honest, 1);
        assert_int_equal(claim_holder(target.entry.claim_id), target.publisher);
        assert_int_equal(registry_verify(bus.registry, topic, NULL), 0);
        assert_int_equal(registry_verify_bus(bus.registry, NULL), 0);
        assert_int_equal(write(publishing.go[1], "x", 1), 1);
        assert_int_equal(read(publishing.ready[0], &byte, 1), 1);
        take_number(honest, 2);
        assert_int_equal(write(publishing.go[1], "x", 1), 1);
        assert_int_equal(process_wait(target.publisher), 0);
        slipring_subscriber_close(honest);
        (void) close(publishing.ready[0]);
        (void) close(publishing.ready[1]);
        (void) close(publishing.go[0]);
        (void) close(publishing.go[1]);
}

static void test_a_subscriber_changes_nothing(void **state) {
        attack(0, &stranger, attack_run);
        print_message("%zu attacks by a stranger who may read\n", ATTACKS);
}

static void test_a_group_member_changes_nothing(void **state) {
        attack(1, &member, attack_run);
        print_message("%zu attacks by a member of the group\n", ATTACKS);
}

static void test_who_may_not_read_sees_nothing(void **state) {
        attack(1, &stranger, outside_run);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_a_squatted_key_is_refused_by_its_creator),
                CASE(test_what_its_owner_loosened_is_refused_and_replaced),
                CASE(test_what_its_owner_removed_is_gone_and_replaced),
                CASE(test_a_removed_segments_key_is_worth_nothing),
                CASE(test_a_subscriber_changes_nothing),
                CASE(test_a_group_member_changes_nothing),
                CASE(test_who_may_not_read_sees_nothing),
        };

        user_needed();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
