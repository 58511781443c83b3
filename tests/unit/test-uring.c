/*
 * The little of io_uring that wait sets use, where the kernel refuses it.
 */

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bus/uring.h"
#include "tests/harness/harness.h"

/* From here on this process's io_uring_enter(2) fails. */
static int refuse_enter(void) {
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EBUSY),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
               prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0;
}

static int refused_run(void *argument) {
        struct uring uring;
        int event = eventfd(0, EFD_CLOEXEC), bad = 0;

        (void) argument;
        if (event < 0 || uring_open(&uring, event) < 0 || refuse_enter()) {
                return 77;
        }
        bad |= uring_wait_ns(&uring, 1000, 1) != -EBUSY;
        /* Nothing is left for the next call to send in its place. */
        bad |= atomic_load(uring.sq_tail) != atomic_load(uring.sq_head);
        uring_close(&uring);
        (void) close(event);
        return bad;
}

static void test_a_refused_wait_is_not_sent_later(void **state) {
        int status = process_wait(process_start(refused_run, NULL));

        (void) state;
        if (status == 77) {
                skip();
        }
        assert_int_equal(status, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_refused_wait_is_not_sent_later),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
