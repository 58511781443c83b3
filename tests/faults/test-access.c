/*
 * Who may publish, subscribe, see the claim and look: every accepted mode, every kind of user, over
 * the real libraries and the real `slipring`, under a manager that is root and under one that is
 * not.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <unistd.h>

#include <slipring/publisher.h>
#include <slipring/subscriber.h>

#include "bus/claim.h"
#include "tests/harness/command.h"
#include "tests/harness/user.h"

#define MODES 5
#define ROLES 5

static const unsigned modes[MODES] = {0600, 0640, 0644, 0660, 0664};

/* What a user may do by the mode's owner, group or other digit. */
static const struct {
        const char *name;
        struct user user;
        unsigned shift;
} roles[ROLES] = {
        {"owner", {USER_OWNER, USER_OWNER, 0}, 6},
        {"member", {USER_MEMBER, GROUP_TOPICS, 0}, 3},
        {"also a member", {USER_OTHER, USER_OTHER, GROUP_TOPICS}, 3},
        /* The kernel gives the creator's group the group's rights: hence a service's empty one. */
        {"in the manager's group", {USER_OTHER, USER_MANAGER, 0}, 3},
        {"other", {USER_STRANGER, USER_STRANGER, 0}, 0},
};

/* What a user's process got for one topic; 0 or negative errno. */
struct outcome {
        int publish, subscribe, claim, alter;
        bool listed;
        struct slipring_error publish_error, subscribe_error;
};

/* Shared with the users' processes. */
static struct {
        struct outcome outcomes[MODES];
        struct layout_entry entries[MODES];
        pid_t holder;
} * shared;

static struct bus bus;
static char names[MODES][8];

static int setup_manager(uid_t uid, gid_t gid) {
        struct topic_spec specs[MODES];
        char number[16];
        int i;

        user_act(uid, gid);
        (void) snprintf(number, sizeof(number), "%u", (unsigned) uid);
        assert_int_equal(setenv("SLIPRING_TRUST", number, 1), 0);
        for (i = 0; i < MODES; i++) {
                (void) snprintf(names[i], sizeof(names[i]), "m%04o", modes[i]);
                specs[i] = topic_of(names[i], 4);
                specs[i].uid = USER_OWNER;
                specs[i].gid = GROUP_TOPICS;
                specs[i].mode = modes[i];
        }
        bus_start(&bus, specs, MODES);
        for (i = 0; i < MODES; i++) {
                shared->entries[i] = *registry_entry(bus.registry, (size_t) i);
        }
        return 0;
}

/* Root of the manager's group, so that the fourth role is the same. */
static int setup_root(void **state) {
        return setup_manager(0, USER_MANAGER);
}

static int setup_service(void **state) {
        return setup_manager(USER_MANAGER, USER_MANAGER);
}

static int teardown(void **state) {
        bus_stop(&bus);
        user_act_root();
        (void) unsetenv("SLIPRING_TRUST");
        return 0;
}

/* --- the owner's process --- */

static int owner_run(void *argument) {
        struct slipring_publisher *publisher;
        struct message message = message_make(7);
        int i;

        for (i = 0; i < MODES; i++) {
                publisher = NULL;
                if (slipring_publisher_open(&publisher, names[i], NULL, NULL) < 0 ||
                    slipring_publisher_publish(publisher, &message, sizeof(message), 0) < 0) {
                        return 1;
                }
        }
        if (write(((int *) argument)[1], "x", 1) != 1) {
                return 2;
        }
        (void) pause();
        return 0;
}

/* Publishes 7 to each topic and holds the claims, until it is killed. */
static pid_t owner_start(void) {
        int ready[2];
        char byte;
        pid_t pid;

        assert_int_equal(pipe(ready), 0);
        pid = user_start(&roles[0].user, owner_run, ready);
        (void) close(ready[1]);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        (void) close(ready[0]);
        return pid;
}

/* --- a user's process --- */

static int take_seven(const char *topic, struct slipring_error *reterr) {
        struct slipring_subscriber *subscriber = NULL;
        struct slipring_subscriber_info info;
        struct message message;
        int r;

        r = slipring_subscriber_open(&subscriber, topic, NULL, reterr);
        if (r == 0 && (slipring_subscriber_take(subscriber, &message, sizeof(message), NULL) != 1 ||
                       !message_whole(&message) || message.number != 7 ||
                       slipring_subscriber_info(subscriber, &info) < 0 ||
                       info.publisher_pid != shared->holder)) {
                r = -EBADE;
        }
        slipring_subscriber_close(subscriber);
        return r;
}

static bool is_listed(const char *topic) {
        struct directory directory = {.segment = SEGMENT_NONE};
        struct directory_table table = {0};
        bool found;

        found = directory_locate(&directory, NULL, NULL) == 0 &&
                directory_read(&directory, &table, NULL) == 0 && directory_find(&table, topic);
        directory_table_free(&table);
        directory_detach(&directory);
        return found;
}

static int look_run(void *argument) {
        int i;

        for (i = 0; i < MODES; i++) {
                struct outcome *outcome = &shared->outcomes[i];
                /* By number, without the library's checks in the way. */
                pid_t pid = claim_holder(shared->entries[i].claim_id);

                outcome->listed = is_listed(names[i]);
                outcome->subscribe = take_seven(names[i], &outcome->subscribe_error);
                outcome->claim = pid == shared->holder ? 0 : (int) pid;
        }
        return 0;
}

static int publish_run(void *argument) {
        struct message message = message_make(8);
        int i;

        for (i = 0; i < MODES; i++) {
                struct outcome *outcome = &shared->outcomes[i];
                struct slipring_publisher *publisher = NULL;
                int r = slipring_publisher_open(&publisher, names[i], NULL,
                                                &outcome->publish_error);

                if (r == 0) {
                        r = slipring_publisher_publish(publisher, &message, sizeof(message), 0);
                }
                outcome->publish = r;
                slipring_publisher_close(publisher);
        }
        return 0;
}

/* Raises the semaphore by hand where the mode lets it; the kernel lowers it at exit. */
static int alter_run(void *argument) {
        int i;

        for (i = 0; i < MODES; i++) {
                struct sembuf give = {.sem_op = 1, .sem_flg = IPC_NOWAIT | SEM_UNDO};

                shared->outcomes[i].alter =
                        semop(shared->entries[i].claim_id, &give, 1) < 0 ? -errno : 0;
        }
        return 0;
}

/* --- the table --- */

static bool
says_remedy(const struct slipring_error *error, const char *topic, unsigned mode, unsigned bit) {
        char text[64];

        (void) snprintf(text, sizeof(text), "owner uid %u, group gid %u, mode %04o", USER_OWNER,
                        GROUP_TOPICS, mode);
        return error->code == -EACCES && strstr(error->text, topic) && strstr(error->text, text) &&
               strstr(error->text, mode & bit ? "add it to the group" : "in the schema");
}

static const char *word(int r) {
        return r == 0 ? "yes" : r == -EACCES ? "no" : strerror(-r);
}

static void check_role(int role) {
        pid_t owner = owner_start();
        int i, wrong = 0;

        memset(shared->outcomes, 0, sizeof(shared->outcomes));
        shared->holder = owner;
        assert_int_equal(process_wait(user_start(&roles[role].user, look_run, NULL)), 0);
        user_kill(owner);
        assert_int_equal(process_wait(user_start(&roles[role].user, publish_run, NULL)), 0);
        assert_int_equal(process_wait(user_start(&roles[role].user, alter_run, NULL)), 0);
        for (i = 0; i < MODES; i++) {
                const struct outcome *is = &shared->outcomes[i];
                int may_read = modes[i] >> roles[role].shift & 4 ? 0 : -EACCES;
                int may_write = modes[i] >> roles[role].shift & 2 ? 0 : -EACCES;

                printf("%04o  %-22s  subscribe %-3s  publish %-3s  claim: read %-3s alter %-3s  "
                       "list %s\n",
                       modes[i], roles[role].name, word(is->subscribe), word(is->publish),
                       word(is->claim), word(is->alter), is->listed ? "yes" : "no");
                wrong += is->subscribe != may_read || is->publish != may_write ||
                         is->claim != may_read || is->alter != may_write || !is->listed;
                if (is->subscribe < 0 &&
                    !says_remedy(&is->subscribe_error, names[i], modes[i], 0040)) {
                        fail_msg("no remedy: %s", is->subscribe_error.text);
                }
                if (is->publish < 0 && !says_remedy(&is->publish_error, names[i], modes[i], 0020)) {
                        fail_msg("no remedy: %s", is->publish_error.text);
                }
        }
        assert_int_equal(wrong, 0);
}

static void test_the_mode_decides(void **state) {
        int role;

        for (role = 0; role < ROLES; role++) {
                check_role(role);
        }
}

static int look_at_roots_run(void *argument) {
        struct outcome *outcome = &shared->outcomes[0];

        outcome->subscribe = take_seven("roots", &outcome->subscribe_error);
        return 0;
}

/* As on a bus of root's that names no group. */
static void test_nobody_is_sent_into_the_group_of_root(void **state) {
        const struct outcome *outcome = &shared->outcomes[0];
        struct topic_spec spec;

        user_act(0, 0);
        assert_int_equal(setenv("SLIPRING_TRUST", "0", 1), 0);
        spec = topic_of("roots", 4);
        bus_start(&bus, &spec, 1);
        assert_int_equal(process_wait(user_start(&roles[4].user, look_at_roots_run, NULL)), 0);
        assert_int_equal(outcome->subscribe, -EACCES);
        assert_non_null(strstr(outcome->subscribe_error.text,
                               "name another group than root's in the schema"));
}

/* --- the commands --- */

static bool run_as(struct command *command, int role, const char *verb, const char *argument) {
        command_start_user(command, &roles[role].user, (const char *const[]){verb, argument, NULL});
        command_finish(command);
        return command->code != 127;
}

static void check_commands(int role) {
        struct command command;
        bool readable;
        int i;

        if (!run_as(&command, role, "list", NULL)) {
                command_free(&command);
                print_message("SKIPPED: other users cannot reach the build directory\n");
                skip();
        }
        command_expect_code(&command, 0);
        command_expect_out(&command, "m0600\nm0640\nm0644\nm0660\nm0664\n");
        command_free(&command);
        for (i = 0; i < MODES; i++) {
                readable = modes[i] >> roles[role].shift & 4;
                (void) run_as(&command, role, "info", names[i]);
                command_expect_code(&command, 0);
                command_expect_out_has(&command, readable ? "Publisher: none" : "Publisher: -\n");
                if (!readable) {
                        command_expect_err_has(&command, modes[i] & 0040 ? "add it to the group"
                                                                         : "in the schema");
                }
                command_free(&command);
        }
}

static void test_commands_show_all_and_read_what_the_mode_allows(void **state) {
        int role;

        for (role = 0; role < ROLES; role++) {
                check_commands(role);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                {"test_the_mode_decides (root's bus)", test_the_mode_decides, setup_root, teardown,
                 NULL},
                {"test_the_mode_decides (a system user's bus)", test_the_mode_decides,
                 setup_service, teardown, NULL},
                cmocka_unit_test_teardown(test_nobody_is_sent_into_the_group_of_root, teardown),
                cmocka_unit_test_setup_teardown(
                        test_commands_show_all_and_read_what_the_mode_allows, setup_service,
                        teardown),
        };

        user_needed();
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        if (shared == MAP_FAILED) {
                return 1;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
