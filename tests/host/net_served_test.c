/* SPDX-License-Identifier: BSD-3-Clause */
/* examples/vhost-user-net, run as a program of its own: a hostile port does not keep it busy. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int example_main(int argc, char **argv);
#undef _GNU_SOURCE
#define main example_main
#include "../../examples/vhost-user-net.c"
#undef main

#include <sys/prctl.h>
#include <sys/wait.h>

#include "runner.h"
#include "virtq/host/socket.h"
#include "virtq/host/vhost_user_queue.h"
#include "virtq/host/vhost_user_space.h"

enum { SIZE = 32, ROOM = 1 << 16, PATIENCE = 60000, SLEEPS = 20, LOOKS = 2000 };

/* A port of the switch, with a driver end of its TX ring. */
struct stand {
    pid_t child;
    char paths[PORTS][64];
    struct virtq_vhost_user_frontend *frontend;
    struct virtq_vhost_user_space *space;
    struct virtq_vhost_user_queue *queue;
    bool broken;
};

static _Alignas(VIRTQ_CACHE_LINE) unsigned char memory[3][ROOM];

static void broken(void *opaque, uint32_t index)
{
    cr_assert_eq(index, (uint32_t)TX);
    ((struct stand *)opaque)->broken = true;
}

static int connect_to(struct stand *stand)
{
    const char *const arguments[] = {"vhost-user-net", stand->paths[0], stand->paths[1]};
    int fd;

    stand->child = fork();
    cr_assert(stand->child >= 0);
    if (stand->child == 0) {
        /* It does not outlive a test that fails. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(freopen("/dev/null", "w", stdout) == NULL
                  ? 99
                  : example_main(3, (char **)(uintptr_t)arguments));
    }
    for (unsigned i = 0; (fd = virtq_socket_connect(stand->paths[0])) < 0; i++) {
        cr_assert(i < 3000 && waitpid(stand->child, NULL, WNOHANG) == 0);
        (void)poll(NULL, 0, 10);
    }
    return fd;
}

static void stand_open(struct stand *stand)
{
    const struct virtq_vhost_user_frontend_ops ops = {.size = sizeof(ops), .broken = broken};
    struct virtq_vhost_user_frontend_config config = VIRTQ_VHOST_USER_FRONTEND_CONFIG_INIT;
    struct virtq_vhost_user_queue_config ring = VIRTQ_VHOST_USER_QUEUE_CONFIG_INIT;
    struct virtq_vhost_user_space_config room = VIRTQ_VHOST_USER_SPACE_CONFIG_INIT;

    memset(stand, 0, sizeof(*stand));
    for (unsigned i = 0; i < PORTS; i++) {
        (void)snprintf(stand->paths[i], sizeof(stand->paths[i]), "/tmp/virtq-net-%d-%u.sock",
                       (int)getpid(), i);
    }
    config.deadline = PATIENCE;
    config.queue_count = RINGS;
    config.ops = &ops;
    config.opaque = stand;
    config.socket = connect_to(stand);
    cr_assert_eq(virtq_vhost_user_frontend_init(memory[0], ROOM, &config, &stand->frontend), 0);
    cr_assert_eq(virtq_vhost_user_frontend_greet(stand->frontend), 0);
    cr_assert_eq(
        virtq_vhost_user_frontend_accept(stand->frontend, VIRTQ_FEATURE(VIRTIO_F_VERSION_1)), 0);
    ring.frontend = room.frontend = stand->frontend;
    ring.index = TX;
    ring.size = SIZE;
    ring.segments_max = 1;
    room.ring_size = virtq_vhost_user_queue_ring_size(&ring);
    cr_assert_eq(virtq_vhost_user_space_init(memory[1], ROOM, &room, &stand->space), 0);
    ring.space = stand->space->space;
    ring.ring = stand->space->rings;
    cr_assert_eq(virtq_vhost_user_queue_init(memory[2], ROOM, &ring, &stand->queue), 0);
    cr_assert_eq(virtq_vhost_user_queue_start(stand->queue), 0);
    cr_assert_eq(virtq_vhost_user_frontend_ready(stand->frontend), 0);
}

static void stand_close(struct stand *stand)
{
    int status = 0;

    cr_assert_eq(virtq_vhost_user_queue_stop(stand->queue), 0);
    virtq_vhost_user_queue_fini(stand->queue);
    virtq_vhost_user_space_fini(stand->space);
    virtq_vhost_user_frontend_fini(stand->frontend);
    cr_assert_eq(kill(stand->child, SIGTERM), 0);
    cr_assert_eq(waitpid(stand->child, &status, 0), stand->child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

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
    struct virtq_layout layout;
    struct stand stand;
    unsigned sleeps = 0;
    unsigned char *index;

    stand_open(&stand);
    cr_assert_eq(virtq_layout_init(VIRTQ_FORMAT_SPLIT, SIZE, &layout), 0);
    /* More buffers than there are descriptors. */
    index = (unsigned char *)stand.space->rings + layout.driver.offset + 2;
    __atomic_store_n((uint16_t *)(void *)index, (uint16_t)0x7f7f, __ATOMIC_RELEASE);
    virtq_vhost_user_frontend_kick(stand.frontend, TX);
    while (!stand.broken) {
        cr_assert_eq(virtq_vhost_user_frontend_wait(stand.frontend, TX, 1, PATIENCE), 1);
    }
    for (unsigned i = 0; sleeps < SLEEPS; i++) {
        cr_assert(i < LOOKS, "it never sleeps");
        sleeps = state_of(stand.child) == 'S' ? sleeps + 1 : 0;
        (void)poll(NULL, 0, 1);
    }
    stand_close(&stand);
}
