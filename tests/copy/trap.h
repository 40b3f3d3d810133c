/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Memory that notes every access of it: where, how wide, load or store.
 *
 * The pages trap; the handler decodes the instruction, opens the pages for this one alone by
 * single-stepping, and closes them again. For stores a second view of the same memory tells what
 * changed. An instruction that it does not know has width 0: no test takes that for legal. x86-64
 * Linux only (#TRAP_WORKS); not under a sanitizer or Valgrind, which have the handlers for
 * themselves.
 */
#ifndef VIRTQ_TESTS_COPY_TRAP_H
#define VIRTQ_TESTS_COPY_TRAP_H

#if defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
        __has_feature(memory_sanitizer)
#        define TRAP_SANITIZED 1
#    endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define TRAP_SANITIZED 1
#endif

#if defined(__x86_64__) && defined(__linux__) && !defined(TRAP_SANITIZED)
#    define TRAP_WORKS 1

#    include <signal.h>
#    include <stdbool.h>
#    include <stdlib.h>
#    include <string.h>
#    include <sys/mman.h>
#    include <sys/syscall.h>
#    include <ucontext.h>
#    include <unistd.h>

#    include "support/guarded.h"
#    include "support/runner.h"

enum { TRAP_SIZE = 4096, TRAP_NOTES = 8192, TRAP_FLAG = 0x100 };

/** @brief One access. */
struct trap_note {
    size_t offset; /**< Of its first byte. */
    size_t width;  /**< Bytes by the instruction; 0: one that is not known. */
    size_t first;  /**< Stores: the first byte that changed ... */
    size_t last;   /**< ... and the last one. */
    bool store;    /**< By the processor's word. */
};

static struct {
    unsigned char *view; /**< The memory that traps. */
    unsigned char *back; /**< The same memory, that does not. */
    struct trap_note notes[TRAP_NOTES];
    unsigned char before[TRAP_SIZE];
    void (*after)(const struct trap_note *note); /**< Called after each access; may be NULL. */
    volatile unsigned count;
    volatile sig_atomic_t armed;
} trap;

/* Width of the access of the instruction at `at`: what gcc and clang make of volatile accesses, and
 * 16-byte streaming. */
static inline size_t trap_decode(const unsigned char *at)
{
    bool small = false;
    bool wide = false;

    if (*at == 0x66) {
        small = true;
        at++;
    }
    if ((*at & 0xf0) == 0x40) {
        wide = (*at & 8) != 0;
        at++;
    }
    switch (*at) {
    case 0x88: /* mov of 1 byte: to memory, from memory, immediate */
    case 0x8a:
    case 0xc6:
        return 1;
    case 0x89:
    case 0x8b:
    case 0xc7:
        return wide ? 8 : small ? 2 : 4;
    case 0x0f:
        break;
    default:
        return 0;
    }
    switch (at[1]) {
    case 0xb6: /* movzx, movsx */
    case 0xbe:
        return 1;
    case 0xb7:
    case 0xbf:
        return 2;
    case 0xe7: /* movntdq */
        return small ? 16 : 0;
    case 0x38: /* movntdqa */
        return small && at[2] == 0x2a ? 16 : 0;
    default:
        return 0;
    }
}

static inline void trap_protect(int how)
{
    (void)mprotect(trap.view, TRAP_SIZE, how);
}

static inline void trap_on_segv(int number, siginfo_t *info, void *context)
{
    ucontext_t *at = context;
    const unsigned char *address = info->si_addr;

    (void)number;
    if (trap.armed && address >= trap.view && address < trap.view + TRAP_SIZE) {
        struct trap_note *note = &trap.notes[trap.count % TRAP_NOTES];
        const unsigned char *code;

        memcpy(&code, &at->uc_mcontext.gregs[REG_RIP], sizeof(code));
        note->offset = (size_t)(address - trap.view);
        note->width = trap_decode(code);
        note->store = (at->uc_mcontext.gregs[REG_ERR] & 2) != 0;
        memcpy(trap.before, trap.back, TRAP_SIZE);
        trap_protect(PROT_READ | PROT_WRITE);
        at->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
        return;
    }
    (void)signal(SIGSEGV, SIG_DFL); /* And the instruction faults again: outside of the memory. */
}

static inline void trap_on_step(int number, siginfo_t *info, void *context)
{
    ucontext_t *at = context;
    struct trap_note *note = &trap.notes[trap.count % TRAP_NOTES];

    (void)number;
    (void)info;
    at->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    note->first = TRAP_SIZE;
    note->last = 0;
    for (size_t i = 0; i < TRAP_SIZE; i++) {
        if (trap.before[i] != trap.back[i]) {
            note->first = note->first < i ? note->first : i;
            note->last = i;
        }
    }
    trap.count++;
    if (trap.after != NULL) {
        trap.after(note);
    }
    if (trap.armed) {
        trap_protect(PROT_NONE);
    }
}

/** @brief Whether handlers work here: under Valgrind a step is never seen. */
static inline bool trap_open(void)
{
    struct sigaction segv = {.sa_flags = SA_SIGINFO};
    struct sigaction step = {.sa_flags = SA_SIGINFO};
    const char *preload = getenv("LD_PRELOAD");
    size_t page = guarded_page();
    unsigned char *room;
    int file;

    if (preload != NULL && strstr(preload, "valgrind") != NULL) {
        return false;
    }
    file = (int)syscall(SYS_memfd_create, "trap", 0);
    cr_assert_geq(file, 0);
    cr_assert(ftruncate(file, TRAP_SIZE) == 0);
    /* Between two pages that always trap. */
    room = mmap(NULL, TRAP_SIZE + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(room != MAP_FAILED);
    trap.view = mmap(room + page, TRAP_SIZE, PROT_NONE, MAP_SHARED | MAP_FIXED, file, 0);
    trap.back = mmap(NULL, TRAP_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    cr_assert(trap.view != MAP_FAILED && trap.back != MAP_FAILED);
    (void)close(file);
    segv.sa_sigaction = trap_on_segv;
    step.sa_sigaction = trap_on_step;
    cr_assert(sigaction(SIGSEGV, &segv, NULL) == 0);
    cr_assert(sigaction(SIGTRAP, &step, NULL) == 0);
    return true;
}

static inline void trap_arm(void)
{
    trap.count = 0;
    trap.armed = 1;
    trap_protect(PROT_NONE);
}

static inline void trap_disarm(void)
{
    trap.armed = 0;
    trap_protect(PROT_READ | PROT_WRITE);
    cr_assert_lt(trap.count, (unsigned)TRAP_NOTES);
}

/** @brief Judges what was noted: single aligned accesses of the allowed widths, in order, that
 * cover [offset, offset + len) exactly, all loads or all stores. Gives how many there were. */
static inline unsigned trap_judge(size_t offset, size_t len, size_t widths, bool store)
{
    size_t next = offset;

    trap_disarm();
    for (unsigned i = 0; i < trap.count; i++) {
        const struct trap_note *note = &trap.notes[i];

        cr_assert_eq(note->store, store, "access %u at %zu is a %s", i, note->offset,
                     store ? "load" : "store");
        cr_assert((note->width & widths) != 0, "access %u at %zu: width %zu of %zx", i,
                  note->offset, note->width, widths);
        cr_assert_eq(note->offset, next, "access %u", i);
        cr_assert_eq(note->offset % note->width, (size_t)0, "access %u at %zu: odd", i,
                     note->offset);
        if (store) {
            cr_assert_eq(note->first, note->offset, "access %u", i);
            cr_assert_eq(note->last, note->offset + note->width - 1, "access %u", i);
        }
        next += note->width;
    }
    cr_assert_eq(next, offset + len);
    return trap.count;
}

#endif

#endif
