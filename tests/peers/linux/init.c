/* SPDX-License-Identifier: BSD-3-Clause */
/* The first program of a Linux guest: mounts what programs expect, loads /modules/ in the order of
 * the names, runs /guest with the arguments that follow "--" on the kernel's command line, says how
 * it ended, and turns the machine off. With patience=SECONDS on that line
 * the machine ends after that time at the latest, whoever waits for a device that does not answer.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void mount_at(const char *type, const char *path)
{
    (void)mkdir(path, 0755);
    if (mount(type, path, type, 0, NULL) != 0 && errno != EBUSY && errno != ENODEV) {
        printf("init: %s: %s\n", path, strerror(errno));
    }
}

static int load(const char *name)
{
    char path[300];
    int file;
    long result;

    (void)snprintf(path, sizeof(path), "/modules/%s", name);
    file = open(path, O_RDONLY | O_CLOEXEC);
    result = file < 0 ? -1 : syscall(SYS_finit_module, file, "", 0);
    if (result != 0) {
        printf("init: %s: %s\n", path, strerror(errno));
    }
    if (file >= 0) {
        (void)close(file);
    }
    return result == 0 ? 0 : -1;
}

static int load_all(void)
{
    struct dirent **names = NULL;
    int count = scandir("/modules", &names, NULL, alphasort);
    int result = 0;

    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.') {
            result |= load(names[i]->d_name);
        }
        free(names[i]);
    }
    free(names);
    return result;
}

static int run(char **arguments)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        arguments[0] = "/guest";
        (void)execv("/guest", arguments);
        printf("init: /guest: %s\n", strerror(errno));
        _exit(127);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void guest(char **arguments)
{
    int code = 1;

    /* The first word, before anything of ours has been at work. */
    printf("init: begins\n");
    mount_at("devtmpfs", "/dev");
    mount_at("proc", "/proc");
    mount_at("sysfs", "/sys");
    if (load_all() == 0) {
        code = run(arguments);
    }
    printf("\ninit: /guest ended with %d\n", code);
    (void)tcdrain(STDOUT_FILENO);
    sync();
    (void)reboot(RB_POWER_OFF);
}

int main(int argc, char **argv)
{
    const char *patience = getenv("patience");
    unsigned left = patience != NULL ? (unsigned)strtoul(patience, NULL, 10) : UINT_MAX;

    (void)argc;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (fork() == 0) {
        guest(argv);
        (void)pause();
    }
    while (left != 0) {
        left = sleep(left);
    }
    /* A proper shutdown would wait for the driver that waits for its device. That the first process
     * ends is a panic, which needs nobody. */
    printf("\ninit: out of patience\n");
    (void)tcdrain(STDOUT_FILENO);
    return 1;
}
