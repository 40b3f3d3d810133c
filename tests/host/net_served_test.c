/* SPDX-License-Identifier: BSD-3-Clause */
/* examples/vhost-user-net, run as a program of its own: a hostile port does not keep it busy. */
#define main example_main
int example_main(int argc, char **argv);
#undef _GNU_SOURCE
#include "../../examples/vhost-user-net.c"
#undef main

#include "served.h"

enum { SLEEPS = 20, LOOKS = 2000 };

/* What the system says that the program does: 'S' sleep. */
static char state_of(pid_t child)
{
    char path[64];
    char state = '?';
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)child);
    file = fopen(path, "r");
    cr_assert(file != NULL);
    cr_assert_eq(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
    cr_assert_eq(fclose(file), 0);
    return state;
}

Test(host_net_served, a_port_that_breaks_its_ring_does_not_keep_the_switch_busy)
{
    struct served served;
    unsigned sleeps = 0;
    int status = 0;

    served_open(&served, 2, TX, 0);
    /* More buffers than there are descriptors. */
    __atomic_store_n(served_available(&served), (uint16_t)0x7f7f, __ATOMIC_RELEASE);
    virtq_vhost_user_frontend_kick(served.frontend, TX);
    while (!served.broken) {
        cr_assert_eq(virtq_vhost_user_frontend_wait(served.frontend, TX, 1, SERVED_PATIENCE), 1);
    }
    for (unsigned i = 0; sleeps < SLEEPS; i++) {
        cr_assert(i < LOOKS, "it never sleeps");
        sleeps = state_of(served.child) == 'S' ? sleeps + 1 : 0;
        (void)poll(NULL, 0, 1);
    }
    cr_assert_eq(virtq_vhost_user_queue_stop(served.queue), 0);
    served_close(&served);
    cr_assert_eq(kill(served.child, SIGTERM), 0);
    cr_assert_eq(waitpid(served.child, &status, 0), served.child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
